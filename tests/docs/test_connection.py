# SPDX-License-Identifier: Apache-2.0
"""docs/connection.md: the API accepts the connection, in whichever way it is defined.

tests/system/test_connection_form.py tests the form.
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

from airflow_provider_connectif.api import connection_problems
from airflow_provider_connectif.api.credentials import DEFAULT_BASE_URL, normalize_api_key, normalize_base_url
from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs/connection.md"
BLOCKS = blocks("bash", page=PAGE)
SETTINGS = [block for block in BLOCKS if "_PROXY" in block.text]
METHODS = [block for block in BLOCKS if block not in SETTINGS]
VARIABLES = [block for block in METHODS if "AIRFLOW_CONN_" in block.text]
COMMANDS = [block for block in METHODS if "airflow connections add" in block.text]
BACKENDS = [block for block in METHODS if "AIRFLOW__SECRETS__" in block.text]

# As in a task.
TEST_IN_TASK = """
from airflow_provider_connectif.hooks.connectif import ConnectifHook
hook = ConnectifHook("connectif_default")
accepted, message = hook.test_connection()
print(message, hook.get_connection("connectif_default").extra_dejson.get("request_timeout", ""))
"""
# A task gets connections in the database from the API server only; this works without one.
TEST_BY_COMMAND = "AIRFLOW__CORE__TEST_CONNECTION=Enabled airflow connections test connectif_default"


def test_the_page_describes_each_method():
    assert (len(VARIABLES), len(COMMANDS), len(BACKENDS)) == (4, 2, 1)
    assert sum(map(len, (VARIABLES, COMMANDS, BACKENDS))) == len(METHODS)


def test_the_settings_for_proxies_and_certificates_are_those_that_messages_name():
    [settings] = SETTINGS
    names = re.findall(r"^export (\w+)=", settings.text, re.MULTILINE)
    assert names == [connection_problems._PROXY_VARIABLES[0], connection_problems._CA_VARIABLES[0]]


@pytest.mark.parametrize("block", VARIABLES, ids=[str(block.line) for block in VARIABLES])
def test_an_environment_variable_has_the_whole_key_and_leads_to_the_real_api(block):
    value = re.search(r"='(.*)'", block.text, re.DOTALL)[1]
    connection = (
        Connection.from_json(value, conn_id="connectif_default")
        if value.startswith("{")
        else Connection.from_uri(value, conn_id="connectif_default")
    )
    assert connection.conn_type == "connectif"
    assert normalize_api_key(connection.password, connection.login) == "keyId:keySecret"
    assert normalize_base_url(connection.host, schema=connection.schema, port=connection.port) == DEFAULT_BASE_URL


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(SandboxOptions(seed=1)).serve(port=0) as running:
        yield running


@pytest.fixture
def environment(tmp_path, airflow_db):
    """The environment of a separate Airflow with an empty database."""
    # Do not copy the file: the latest changes may still be in the write-ahead log.
    with (
        contextlib.closing(sqlite3.connect(airflow_db / "airflow.db")) as migrated,
        contextlib.closing(sqlite3.connect(tmp_path / "airflow.db")) as copy,
    ):
        migrated.backup(copy)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
    }


def use_sandbox(text, sandbox):
    """Replace the key and the URL with those of the sandbox, and leave the rest unchanged."""
    key_id, secret = sandbox.key.split(":")
    text = text.replace("keyId", key_id).replace("keySecret", secret)
    text = text.replace("https://api.connectif.cloud", sandbox.url)
    text = re.sub(r"@(api\.connectif\.cloud)?(?=['/])", "@" + quote(sandbox.url, safe=""), text)
    if '"host"' not in text:
        text = text.replace('"conn_type": "connectif",', f'"conn_type": "connectif", "host": "{sandbox.url}",')
    return text.replace("--conn-type connectif ", f"--conn-type connectif --conn-host {sandbox.url} ")


@pytest.mark.system
@pytest.mark.shows_secrets
@pytest.mark.parametrize("block", METHODS, ids=[str(block.line) for block in METHODS])
def test_the_api_accepts_the_connection(block, sandbox, environment, tmp_path):
    text = use_sandbox(block.text, sandbox)
    if block in BACKENDS:
        content = blocks("json", page=PAGE)[0].text
        (tmp_path / "connections.json").write_text(use_sandbox(content, sandbox))
        text = text.replace("/run/secrets", str(tmp_path))
    test = TEST_BY_COMMAND if block in COMMANDS else f"{sys.executable} -c '{TEST_IN_TASK}'"
    done = subprocess.run(["bash", "-ec", f"{text}\n{test}"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = "Connection success!" if block in COMMANDS else "accepts the API key"
    assert expected in done.stdout, done.stdout[-3000:]
    assert "request_timeout" not in block.text or done.stdout.rstrip().endswith(" 60")
