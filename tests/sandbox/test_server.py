# SPDX-License-Identifier: Apache-2.0
"""The server: start and stop, loopback addresses, command line."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import requests

from airflow_provider_connectif.sandbox import RunningSandbox, Sandbox, SandboxOptions
from airflow_provider_connectif.sandbox.__main__ import main
from airflow_provider_connectif.sandbox.control import Control
from airflow_provider_connectif.sandbox.errors import HttpError
from airflow_provider_connectif.sandbox.state import State


def test_a_sandbox_stops_even_while_a_request_hangs() -> None:
    threads = set(threading.enumerate())
    with Sandbox().serve() as running:
        running.fault("list", "hang", seconds=600)
        headers = {"Authorization": f"apiKey {running.key}"}
        outcome: list[object] = []

        def request() -> None:
            try:
                outcome.append(requests.get(f"{running.url}/exports", headers=headers, timeout=20))
            except requests.RequestException as error:
                outcome.append(error)

        thread = threading.Thread(target=request)
        thread.start()
        while not running.stats.faults:
            time.sleep(0.01)
        started = time.monotonic()
    assert time.monotonic() - started < 10
    thread.join(5)
    assert isinstance(outcome[0], requests.ConnectionError)
    with pytest.raises(requests.ConnectionError):
        requests.get(running.url, timeout=1)
    assert set(threading.enumerate()) <= threads


def test_a_sandbox_stops_even_while_a_client_has_stopped_reading() -> None:
    with Sandbox(SandboxOptions(seconds_per_export=0, file_bytes=10**9, stored=True)).serve() as running:
        headers = {"Authorization": f"apiKey {running.key}"}
        export_id = running.create_in_app()
        url = requests.get(f"{running.url}/exports/{export_id}", headers=headers, timeout=10).json()["fileUrl"]
        with requests.get(url, stream=True, timeout=10) as response:
            assert response.raw.read(10)
            started = time.monotonic()
            running.close()
            assert time.monotonic() - started < 10


def test_the_counts_can_be_read_after_the_sandbox_has_stopped() -> None:
    with Sandbox().serve() as running:
        requests.get(f"{running.url}/exports", timeout=10)
    assert running.stats.by_status == {"401": 1}


def test_it_listens_on_both_loopback_addresses(sandbox) -> None:
    assert requests.get(f"http://127.0.0.1:{sandbox.port}/_sandbox/options", timeout=10).status_code == 200
    if socket.has_ipv6:
        try:
            response = requests.get(f"http://[::1]:{sandbox.port}/_sandbox/options", timeout=10)
        except requests.ConnectionError:
            pytest.skip("no IPv6 on this machine")
        assert response.status_code == 200


def test_responses_do_not_wait_for_the_clients_acknowledgement_of_earlier_ones() -> None:
    with Sandbox().serve() as running, requests.Session() as session:
        session.get(running.url, timeout=10)
        [connection] = running._server.server_state.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_in_use_is_an_error() -> None:
    with Sandbox().serve() as running, pytest.raises(OSError, match="in use"), Sandbox().serve(running.port):
        pass


@pytest.mark.parametrize("host", ["10.0.0.9", "::ffff:10.0.0.9", "2001:db8::1"])
def test_control_requests_from_another_machine_are_rejected(host: str) -> None:
    state = State(SandboxOptions(), time.time)
    route = next(route for route in Control(state).routes() if route.path == "/_sandbox/stats")
    scope = {"type": "http", "method": "GET", "path": "/_sandbox/stats", "headers": [], "client": (host, 5)}
    with pytest.raises(HttpError, match="403"):
        asyncio.run(route.app(scope, None, None))


def test_the_command_line_prints_the_connection_serves_and_stops_when_interrupted() -> None:
    command = [sys.executable, "-m", "airflow_provider_connectif.sandbox", "--port", "0", "--rows", "3"]
    command += ["--no-ranges", "--fail", "activities", "--faults", "list:503", "--report-titles", "r1=Ventas, 2023"]
    # A process that a shell starts in the background ignores interrupts, and so do its children.
    reset_sigint = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=reset_sigint
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        url = re.search(r"http://127\.0\.0\.1:\d+", lines[0])[0]
        assert "Ctrl+C" in lines[0]
        key = lines[1].split()[-1]
        connection = json.loads(re.fullmatch(r"\s*AIRFLOW_CONN_CONNECTIF_DEFAULT='(.*)'\n", lines[2])[1])
        assert connection == {"conn_type": "connectif", "host": url, "password": key}
        headers = {"Authorization": f"apiKey {key}"}
        responses = [requests.get(f"{url}/exports", headers=headers, timeout=10) for _ in range(2)]
        assert [response.status_code for response in responses] == [503, 200]
        exports = responses[1].json()["results"]
        assert len(exports) == 6
        assert {export["origin"] for export in exports} == {"api", "app"}
        options = requests.get(f"{url}/_sandbox/options", timeout=10).json()
        assert (options["rows"], options["ranges"], options["fail"]) == (3, False, ["activities"])
        assert options["report_titles"] == ["r1=Ventas, 2023"]
        requests.get(exports[0]["fileUrl"], timeout=10)
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=10)
        assert process.returncode == 0
        assert re.search(r"GET /files/[0-9a-f]{24}: 200", log)
        assert "signature" not in log
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_each_option_is_a_flag_with_a_help_text(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for name in SandboxOptions().as_json():
        assert f"--{name.replace('_', '-')}" in text


@pytest.mark.parametrize("arguments", [["--fail", "3"], ["--archive", "rar"], ["--rows", "-1"], ["--faults", "x:y"]])
def test_an_invalid_flag_is_rejected_by_name(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert re.search("fail|archive|rows|on:", capsys.readouterr().err)


def test_quiet_prints_no_line_for_each_request(monkeypatch, capsys) -> None:
    """Only the lines about the start are printed; ``wait`` makes requests instead of waiting."""

    def wait(running: RunningSandbox) -> None:
        assert requests.get(f"{running.url}/exports", timeout=10).status_code == 401

    monkeypatch.setattr(RunningSandbox, "wait", wait)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", logging.WARNING)
    for arguments, logged in ((["--quiet"], 0), ([], 1)):
        root.handlers = []
        assert main(["--port", "0", *arguments]) == 0
        output = capsys.readouterr()
        assert len(output.out.splitlines()) == 3
        assert output.err.count("GET /exports: 401") == logged


def test_a_port_in_use_is_reported_without_a_traceback(sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", str(sandbox.port)]) == 1
    assert "Cannot listen" in capsys.readouterr().err


def test_the_options_module_imports_neither_web_framework_nor_server() -> None:
    code = (
        "import sys, runpy; "
        "runpy.run_path('airflow_provider_connectif/sandbox/options.py'); "
        "sys.exit(any(name in sys.modules for name in ('starlette', 'uvicorn', 'fastapi')))"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    assert subprocess.run([sys.executable, "-c", code], cwd=root, timeout=20).returncode == 0
