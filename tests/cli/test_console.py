# SPDX-License-Identifier: Apache-2.0
"""How commands fail, and what they may say."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys

import pytest

from airflow_provider_connectif.api.client import ConnectifClient


def test_a_key_that_is_refused_is_one_sentence(sandbox, refused, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_OTHER", json.dumps({"conn_type": "connectif", "host": sandbox.url, "password": "some:thing"})
    )
    assert "refused the API key (401)" in refused("list", "--connectif-conn-id", "other")


def test_a_connection_that_is_not_there_is_named(refused):
    assert "`nowhere`" in refused("list", "--connectif-conn-id", "nowhere")


def test_a_store_whose_package_is_missing_names_the_extra(sandbox, refused, tmp_path):
    export_id = sandbox.create_in_app()
    assert "Use file://, an absolute path" in refused("download", export_id, "nowhere://lake")


def test_a_destination_that_cannot_be_used_is_named(sandbox, refused, tmp_path):
    export_id = sandbox.create_in_app()
    assert refused("download", export_id, f"{tmp_path}/{{nonsense}}").startswith("destination: ")


def test_an_error_that_nobody_thought_of_is_told_without_its_text(sandbox, refused, monkeypatch):
    def breaks(*_, **__):
        raise KeyError("https://files.example/export.zip?signature=0123456789abcdef")

    monkeypatch.setattr(ConnectifClient, "list_exports", breaks)
    assert refused("list").startswith("Unexpected error: KeyError in test_console.py, line ")


def test_ctrl_c_ends_it_without_a_word(sandbox, airflow, monkeypatch):
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


def test_a_reader_who_has_seen_enough_is_no_error():
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
