# SPDX-License-Identifier: Apache-2.0
"""How commands fail, and what they print."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys

import pytest

from airflow_provider_connectif.api.client import ConnectifClient


def test_a_refused_key_is_one_message(sandbox, refused, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_OTHER", json.dumps({"conn_type": "connectif", "host": sandbox.url, "password": "some:thing"})
    )
    assert "refused the API key (401)" in refused("list", "--connectif-conn-id", "other")


def test_a_missing_connection_is_named(refused):
    assert "`nowhere`" in refused("list", "--connectif-conn-id", "nowhere")


def test_an_unsupported_store_is_named(sandbox, refused, tmp_path):
    export_id = sandbox.create_in_app()
    assert "Use file://, an absolute path" in refused("download", export_id, "nowhere://lake")


def test_an_invalid_destination_is_named(sandbox, refused, tmp_path):
    export_id = sandbox.create_in_app()
    assert refused("download", export_id, f"{tmp_path}/{{nonsense}}").startswith("destination: ")


def test_an_unexpected_error_is_reported_without_its_message(sandbox, refused, monkeypatch):
    def breaks(*_, **__):
        raise KeyError("https://files.example/export.zip?signature=0123456789abcdef")

    monkeypatch.setattr(ConnectifClient, "list_exports", breaks)
    assert refused("list").startswith("Unexpected error: KeyError in test_console.py, line ")


def test_ctrl_c_ends_a_command_without_a_message(sandbox, airflow, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ConnectifClient, "list_exports", interrupted)
    with pytest.raises(SystemExit) as caught:
        airflow("list")
    assert caught.value.code == 130


def test_connections_of_airflows_database_are_found(airflow_db, sandbox, airflow, monkeypatch):
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    monkeypatch.delenv("AIRFLOW_CONN_CONNECTIF_DEFAULT")
    with create_session() as session:
        session.add(Connection("in_database", "connectif", host=sandbox.url, password=sandbox.key))
    assert airflow("list", "--connectif-conn-id", "in_database")[0].strip() == "No data found"
    assert "_AIRFLOW_PROCESS_CONTEXT" not in os.environ


def test_verbose_shows_the_log_and_no_secret(sandbox, airflow, debug_log, tmp_path):
    export_id = sandbox.create_in_app()
    airflow("download", export_id, str(tmp_path))
    silent = len(debug_log)
    level = logging.getLogger().level
    try:
        airflow("download", export_id, str(tmp_path / "again"), "--verbose")
    finally:
        logging.getLogger().setLevel(level)
    assert len(debug_log) > silent


def test_a_closed_pipe_prints_no_error():
    code = (
        "import sys; from airflow_provider_connectif.cli.console import exit_with_message\n"
        "with exit_with_message():\n"
        "    while True: print('row' * 1000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"rowrow")
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
