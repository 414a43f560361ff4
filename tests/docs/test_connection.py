# SPDX-License-Identifier: Apache-2.0
"""docs/connection.md: every way to define the connection gives one that the API accepts.

The form is tried by tests/system/test_connection_form.py.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from airflow.sdk import Connection

from airflow_provider_connectif.api.credentials import DEFAULT_BASE_URL, tidy_base_url, tidy_key
from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs/connection.md"
WAYS = [block for block in blocks("bash") if block.page == PAGE]
VARIABLES = [block for block in WAYS if "AIRFLOW_CONN_" in block.text]
COMMANDS = [block for block in WAYS if "airflow connections add" in block.text]
BACKENDS = [block for block in WAYS if "AIRFLOW__SECRETS__" in block.text]

# As a task sees it.
ASK = """
from airflow_provider_connectif.hooks.connectif import ConnectifHook
hook = ConnectifHook("connectif_default")
accepted, words = hook.test_connection()
print(words, hook.get_connection("connectif_default").extra_dejson.get("request_timeout", ""))
"""
# What Airflow's database holds, a task gets from the API server alone; this asks without one.
ASK_AIRFLOW = "AIRFLOW__CORE__TEST_CONNECTION=Enabled airflow connections test connectif_default"


def test_the_page_has_each_way():
    assert (len(VARIABLES), len(COMMANDS), len(BACKENDS)) == (4, 2, 1)
    assert sum(map(len, (VARIABLES, COMMANDS, BACKENDS))) == len(WAYS)


@pytest.mark.parametrize("block", VARIABLES, ids=[str(block.line) for block in VARIABLES])
def test_a_variable_as_it_stands_there_has_the_whole_key_and_leads_to_the_real_api(block):
    value = re.search(r"='(.*)'", block.text, re.DOTALL)[1]
    made = (
        Connection.from_json(value, conn_id="connectif_default")
        if value.startswith("{")
        else Connection.from_uri(value, conn_id="connectif_default")
    )
    assert made.conn_type == "connectif"
    assert tidy_key(made.password, made.login) == "keyId:keySecret"
    assert tidy_base_url(made.host, schema=made.schema, port=made.port) == DEFAULT_BASE_URL


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(SandboxOptions(seed=1)).serve(port=0) as running:
        yield running


@pytest.fixture
def environment(tmp_path, airflow_db):
    """An Airflow of its own, with a database that holds nothing yet."""
    # Not a copy of the file: what was written last may still be in another one beside it.
    with (
        contextlib.closing(sqlite3.connect(airflow_db / "airflow.db")) as migrated,
        contextlib.closing(sqlite3.connect(tmp_path / "airflow.db")) as own,
    ):
        migrated.backup(own)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
    }


def to_sandbox(text, sandbox):
    """The page's words with the sandbox's key and address in place of the real ones; the form stays."""
    key_id, secret = sandbox.key.split(":")
    text = text.replace("keyId", key_id).replace("keySecret", secret)
    text = text.replace("https://api.connectif.cloud", sandbox.url)
    text = re.sub(r"@(api\.connectif\.cloud)?(?=['/])", "@" + quote(sandbox.url, safe=""), text)
    if '"host"' not in text:
        text = text.replace('"conn_type": "connectif",', f'"conn_type": "connectif", "host": "{sandbox.url}",')
    return text.replace("--conn-type connectif ", f"--conn-type connectif --conn-host {sandbox.url} ")


@pytest.mark.system
@pytest.mark.shows_secrets
@pytest.mark.parametrize("block", WAYS, ids=[str(block.line) for block in WAYS])
def test_the_api_accepts_what_it_defines(block, sandbox, environment, tmp_path):
    text = to_sandbox(block.text, sandbox)
    if block in BACKENDS:
        content = next(each for each in blocks("json") if each.page == PAGE).text
        (tmp_path / "connections.json").write_text(to_sandbox(content, sandbox))
        text = text.replace("/run/secrets", str(tmp_path))
    ask = ASK_AIRFLOW if block in COMMANDS else f"{sys.executable} -c '{ASK}'"
    done = subprocess.run(["bash", "-ec", f"{text}\n{ask}"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    accepted = "Connection success!" if block in COMMANDS else "accepts the API key"
    assert accepted in done.stdout, done.stdout[-3000:]
    assert "request_timeout" not in block.text or done.stdout.rstrip().endswith(" 60")
