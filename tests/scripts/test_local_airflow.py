# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket

import psutil
import pytest

from scripts import local_airflow
from scripts.local_airflow import LocalAirflow, LocalAirflowError, free_port, wait_for


@pytest.fixture
def airflow(tmp_path):
    return LocalAirflow(tmp_path / "home", dags=tmp_path, connections={"x": {"conn_type": "connectif"}})


def stand_in(folder, script):
    """Create a program named ``airflow``, and return the environment in which it replaces the real one."""
    program = folder / "airflow"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def test_stop_ends_processes_that_have_lost_their_parent(tmp_path, monkeypatch):
    pid_file = tmp_path / "pid"
    environment = stand_in(tmp_path, f"(sleep 300 & echo $! > {pid_file}); sleep 300")
    airflow = LocalAirflow(tmp_path / "home", dags=tmp_path, environment=environment)
    monkeypatch.setattr(airflow, "_healthy", lambda: True if pid_file.exists() else None)
    airflow.start()
    orphan = psutil.Process(int(wait_for("the pid", lambda: pid_file.read_text().strip() or None, 10)))

    airflow.stop()

    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE


def test_an_airflow_that_exits_immediately_is_an_error_with_its_output(tmp_path):
    environment = stand_in(tmp_path, "echo 'the database is locked'; exit 3")
    airflow = LocalAirflow(tmp_path / "home", dags=tmp_path, environment=environment)
    with pytest.raises(LocalAirflowError, match=r"ended with code 3(?s:.*)the database is locked"):
        airflow.start(timeout=300)


def test_settings_of_the_surrounding_airflow_are_not_inherited(monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "theirs")
    monkeypatch.setenv("AIRFLOW_HOME", "/theirs")
    environment = LocalAirflow(tmp_path, dags=tmp_path).environment
    assert "AIRFLOW__CORE__FERNET_KEY" not in environment
    assert environment["AIRFLOW_HOME"] == str(tmp_path)


def test_connections_are_passed_in_the_form_that_airflow_reads(airflow):
    assert airflow.environment["AIRFLOW_CONN_X"] == '{"conn_type": "connectif"}'


def test_a_wait_that_times_out_reports_what_it_waited_for(monkeypatch):
    monkeypatch.setattr(local_airflow.time, "sleep", lambda _: None)
    with pytest.raises(LocalAirflowError, match="Timed out after 0 s waiting for the moon"):
        wait_for("the moon", lambda: None, 0)


def test_a_free_port_can_be_listened_on():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
