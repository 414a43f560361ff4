# SPDX-License-Identifier: Apache-2.0
"""``airflow connectif`` as a separate process.

Each start of Airflow takes seconds, so everything else is tested in tests/cli.
"""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from tests.leaks import words_before_a_secret

AIRFLOW = str(Path(sys.executable).with_name("airflow"))


@pytest.fixture(scope="module")
def slow_files() -> Iterator[Any]:
    """A sandbox whose files take three seconds to download."""
    options = SandboxOptions(seconds_per_export=1, file_bytes=3_000_000, bytes_per_second=1_000_000, stored=True)
    with Sandbox(options).serve(port=0) as running:
        yield running


@pytest.fixture
def environment(tmp_path, slow_files):
    connections = {
        "AIRFLOW_CONN_CONNECTIF_DEFAULT": slow_files.connection_json,
        "AIRFLOW_CONN_WRONG": json.dumps({"conn_type": "connectif", "host": slow_files.url, "password": "some:thing"}),
    }
    home = {"AIRFLOW_HOME": str(tmp_path / "airflow"), "TERM": "xterm-256color", "COLUMNS": "140"}
    return {**os.environ, **home, **connections}


def test_the_help_of_airflow_lists_the_command(environment):
    done = subprocess.run([AIRFLOW, "--help"], env=environment, capture_output=True, text=True, check=True)
    assert re.search(r"^ +connectif +Work with Connectif's exports$", done.stdout, re.MULTILINE)


def test_a_script_creates_an_export_and_downloads_it_with_a_progress_bar(environment, tmp_path):
    command = [AIRFLOW, "connectif", "exports", "create", "contacts", "--wait"]
    created = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert created.returncode == 0, created.stderr
    export_id = created.stdout.strip()
    assert re.fullmatch(r"[0-9a-f]{24}", export_id)
    assert f"Export {export_id}: finished" in created.stderr

    command = [AIRFLOW, "connectif", "exports", "download", export_id, str(tmp_path / "lake"), "--output", "json"]
    out, shown = run_in_terminal(command, environment)
    (file,) = json.loads(out)
    assert Path(file["path"]).stat().st_size == int(file["bytes"]) >= 3_000_000
    progress = [float(number) for number in re.findall(r"(\d\.\d)/3\.0 MB", shown)]
    assert progress == sorted(progress)
    assert progress[-1] == 3.0
    assert len(set(progress)) > 3
    assert f"Stored export {export_id}: 1 file(s), 3.0 MB, in {tmp_path / 'lake'}." in shown
    assert words_before_a_secret(created.stdout + created.stderr + out + shown) is None


def run_in_terminal(command, environment):
    """Run a command whose standard error is a terminal, and return its standard output and standard error."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=terminal) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                read = os.read(controller, 65536)
            except OSError:  # on Linux this means that the other end is closed
                break
            if not read:
                break
            shown += read
        os.close(controller)
        out = process.stdout.read()
    assert process.returncode == 0, shown
    return out.decode(), shown.decode()


def test_an_error_is_one_line_and_exit_code_1(environment):
    command = [AIRFLOW, "connectif", "exports", "list", "--connectif-conn-id", "wrong"]
    failed = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert re.fullmatch(r"Connectif refused the API key \(401\).*\n", failed.stderr)
