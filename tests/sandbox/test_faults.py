# SPDX-License-Identifier: Apache-2.0
"""Faults in the responses of the API."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import requests

from airflow_provider_connectif.sandbox.faults import Fault
from tests.sandbox.conftest import NOON


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for the server's thread. The deadline only limits how long a failing test takes."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_an_export_is_created_and_the_response_is_an_error(sandbox, client, status: int) -> None:
    sandbox.fault("create", f"create-then-{status}")
    assert client.post("/exports", client.contacts()).status_code == status
    assert sandbox.stats.created_by_api == 1
    assert len(client.get("/exports").json()["results"]) == 1


def test_an_export_is_created_and_the_connection_is_closed(sandbox, client) -> None:
    sandbox.fault("create", "create-then-cut")
    with pytest.raises(requests.ConnectionError):
        client.post("/exports", client.contacts())
    assert sandbox.stats.created_by_api == 1
    assert sandbox.stats.by_status == {"cut": 1}


def test_an_export_is_created_without_a_response(sandbox, client, clock) -> None:
    clock.paused = True
    sandbox.fault("create", "create-then-hang", seconds=60)
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            f"{sandbox.url}/exports",
            json=client.contacts(),
            headers={"Authorization": f"apiKey {sandbox.key}"},
            timeout=0.3,
        )
    wait_until(lambda: sandbox.stats.created_by_api == 1)
    assert sandbox.stats.created_by_api == 1


def test_a_hanging_request_ends_with_a_closed_connection(sandbox, client, clock) -> None:
    sandbox.fault("create", "create-then-hang", seconds=20)
    with pytest.raises(requests.ConnectionError):
        client.post("/exports", client.contacts())
    assert clock() == NOON + 20


def test_an_export_is_created_after_an_error_response(sandbox, client, clock) -> None:
    clock.paused = True
    sandbox.fault("create", "create-late", seconds=20)
    assert client.post("/exports", client.contacts()).status_code == 504
    wait_until(lambda: clock.sleeping == 1)
    clock.move(19.9)
    assert sandbox.stats.created_by_api == 0
    clock.move(0.1)
    wait_until(lambda: sandbox.stats.created_by_api == 1)
    assert sandbox.stats.created_by_api == 1


def test_a_reset_prevents_a_late_creation(sandbox, client, clock) -> None:
    clock.paused = True
    sandbox.fault("create", "create-late", seconds=20)
    client.post("/exports", client.contacts())
    wait_until(lambda: clock.sleeping == 1)
    sandbox.reset()
    clock.move(20)
    wait_until(lambda: clock.sleeping == 0)
    assert (clock.sleeping, sandbox.stats.created_by_api) == (0, 0)


@pytest.mark.parametrize("kind", ["429", "503", "500", "cut", "html"])
def test_the_other_faults_create_nothing(sandbox, client, kind: str) -> None:
    sandbox.fault("create", kind)
    try:
        assert client.post("/exports", client.contacts()).status_code == int(kind if kind.isdigit() else 200)
    except requests.ConnectionError:
        assert kind == "cut"
    assert sandbox.stats.created_by_api == 0


def test_an_export_fails_after_a_normal_creation(sandbox, client) -> None:
    sandbox.fault("create", "then-fails")
    assert [client.create()["status"] for _ in range(2)] == ["error", "finished"]


def test_faults_on_creation_apply_to_reports_too(sandbox, client) -> None:
    sandbox.fault("create", "503")
    assert client.post("/exports/type/data-explorer", client.report()).status_code == 503


def test_a_fault_does_not_create_an_export_from_an_invalid_body(sandbox, client) -> None:
    sandbox.fault("create", "create-then-500")
    assert client.post("/exports", {}).status_code == 422
    assert sandbox.stats.created_by_api == 0


@pytest.mark.parametrize("on", ["list", "get"])
def test_a_fault_applies_to_the_given_number_of_requests(sandbox, client, on: str) -> None:
    path = "/exports" if on == "list" else f"/exports/{client.create()['id']}"
    sandbox.fault(on, "503", times=2)
    assert [client.get(path).status_code for _ in range(3)] == [503, 503, 200]
    assert sandbox.stats.faults == {f"{on}:503": 2}


def test_a_fault_may_skip_some_requests_first(sandbox, client) -> None:
    sandbox.fault("list", "500", skip=2)
    assert [client.get("/exports").status_code for _ in range(4)] == [200, 200, 500, 200]


def test_faults_apply_in_the_order_in_which_they_were_added(sandbox, client) -> None:
    sandbox.fault("list", "500")
    sandbox.fault("list", "503")
    assert [client.get("/exports").status_code for _ in range(3)] == [500, 503, 200]


def test_the_response_may_be_html_instead_of_json(sandbox, client) -> None:
    sandbox.fault("list", "html")
    sandbox.fault("list", "html", status=502)
    responses = [client.get("/exports") for _ in range(2)]
    assert [response.status_code for response in responses] == [200, 502]
    assert all(response.text.startswith("<!DOCTYPE html>") for response in responses)


@pytest.mark.parametrize("kind", ["hang", "cut"])
def test_a_read_gets_no_response(sandbox, client, kind: str) -> None:
    sandbox.fault("list", kind, seconds=20)
    with pytest.raises(requests.ConnectionError):
        client.get("/exports")


def test_a_fault_may_send_retry_after(sandbox, client) -> None:
    sandbox.fault("get", "429", retry_after=3)
    response = client.get("/exports/0")
    assert (response.status_code, response.headers["Retry-After"]) == (429, "3")
    assert sandbox.stats.rate_limited == 1


def test_a_redirect_leads_to_another_host_and_a_key_sent_there_is_counted(sandbox, client) -> None:
    sandbox.fault("list", "redirect", times=2)
    response = client.get("/exports?page=2", allow_redirects=False)
    assert response.status_code == 307
    assert response.headers["Location"] == f"http://localhost:{sandbox.port}/exports?page=2"
    assert client.get("/exports").status_code == 401  # requests leaves the key behind
    assert sandbox.stats.foreign_requests_with_authorization == 0
    client.get(response.headers["Location"])
    assert sandbox.stats.foreign_requests_with_authorization == 1


def test_a_fraction_of_the_requests_fails(sandbox, client) -> None:
    sandbox.set(error_share=0.5)
    statuses = [client.get("/exports").status_code for _ in range(40)]
    assert set(statuses) == {200, 500, 503}


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ({"on": "delete", "kind": "500"}, "on"),
        ({"on": "list", "kind": "create-then-500"}, "kind"),
        ({"on": "list", "kind": "stall"}, "kind"),
        ({"on": "list", "kind": "NNN"}, "kind"),
        ({"on": "list", "kind": "200"}, "kind"),
        ({"on": "list", "kind": "500", "times": "2"}, "times"),
        ({"on": "list", "kind": "500", "colour": 1}, "colour"),
        ({"kind": "500"}, "on"),
        ([], "object"),
    ],
)
def test_an_invalid_fault_is_rejected_with_the_reason(client, fault: object, word: str) -> None:
    response = client.control("POST", "faults", json=fault)
    assert response.status_code == 400
    assert word in response.json()["detail"]


def test_faults_are_queued_listed_and_removed_over_http(client) -> None:
    queued = client.control("POST", "faults", json={"on": "list", "kind": 500, "times": 3}).json()
    assert [(fault["on"], fault["kind"], fault["times"]) for fault in queued] == [("list", "500", 3)]
    client.get("/exports")
    assert client.control("GET", "faults").json()[0]["times"] == 2
    assert client.control("DELETE", "faults").json() == []
    assert client.get("/exports").status_code == 200


def test_a_fault_is_parsed_from_a_text() -> None:
    assert Fault.from_text("create:create-late:2") == Fault("create", "create-late", times=2)
    assert Fault.from_text("file:cut:bytes=7:seconds=0.5") == Fault("file", "cut", bytes=7, seconds=0.5)
    with pytest.raises(ValueError, match="kind"):
        Fault.from_text("list")
