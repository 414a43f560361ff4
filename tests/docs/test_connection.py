# SPDX-License-Identifier: Apache-2.0
"""docs/connection.md: every way to define the connection gives one that the API accepts.

The form is tried by tests/system/test_connection_form.py.
"""

from __future__ import annotations

import json
import os
import re
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

ASK = """
import json
from airflow_provider_connectif.hooks.connectif import ConnectifHook
hook = ConnectifHook("connectif_default")
print("ANSWER", json.dumps([*hook.test_connection(), hook.get_connection("connectif_default").extra_dejson]))
"""


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


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An Airflow of its own, with an empty database."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run(["airflow", "db", "migrate"], env=environment, check=True, capture_output=True)
    return environment


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
    forget = "airflow connections delete connectif_default || true\n" if block in COMMANDS else ""
    command = f"{forget}set -e\n{text}\n\"{sys.executable}\" -c '{ASK}'\n{forget}"
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    accepted, words, extra = json.loads(re.search(r"^ANSWER (.*)$", done.stdout, re.MULTILINE)[1])
    assert accepted, words
    if "request_timeout" in block.text:
        assert int(extra["request_timeout"]) == 60
