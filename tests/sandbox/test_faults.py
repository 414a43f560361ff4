# SPDX-License-Identifier: Apache-2.0
"""Faults of the API's own answers."""

from __future__ import annotations

import time

import pytest
import requests

from airflow_provider_connectif.sandbox.faults import Fault


def wait_for_one_created(sandbox) -> None:
    deadline = time.monotonic() + 10
    while not sandbox.stats.created_by_api and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_an_export_is_created_and_the_answer_is_an_error(sandbox, client, status: int) -> None:
    sandbox.fault("create", f"create-then-{status}")
    assert client.post("/exports", client.contacts()).status_code == status
    assert sandbox.stats.created_by_api == 1
    assert len(client.get("/exports").json()["results"]) == 1


def test_an_export_is_created_and_the_connection_cut(sandbox, client) -> None:
    sandbox.fault("create", "create-then-cut")
    with pytest.raises(requests.ConnectionError):
        client.post("/exports", client.contacts())
    assert sandbox.stats.created_by_api == 1
    assert sandbox.stats.by_status == {"cut": 1}


def test_an_export_is_created_and_never_answered(sandbox, client) -> None:
    sandbox.fault("create", "create-then-hang", seconds=60)
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            f"{sandbox.url}/exports",
            json=client.contacts(),
            headers={"Authorization": f"apiKey {sandbox.key}"},
            timeout=0.3,
        )
    wait_for_one_created(sandbox)
    assert sandbox.stats.created_by_api == 1


def test_a_hanging_answer_ends_in_a_cut_after_its_time(sandbox, client) -> None:
    sandbox.fault("create", "create-then-hang", seconds=0.2)
    with pytest.raises(requests.ConnectionError):
        client.post("/exports", client.contacts())


def test_an_export_is_created_after_the_answer_that_it_was_not(sandbox, client) -> None:
    sandbox.fault("create", "create-late", seconds=0.3)
    assert client.post("/exports", client.contacts()).status_code == 504
    assert sandbox.stats.created_by_api == 0
    wait_for_one_created(sandbox)
    assert sandbox.stats.created_by_api == 1


def test_a_late_export_does_not_come_after_a_reset(sandbox, client) -> None:
    sandbox.fault("create", "create-late", seconds=0.1)
    client.post("/exports", client.contacts())
    sandbox.reset()
    time.sleep(0.3)
    assert sandbox.stats.created_by_api == 0


@pytest.mark.parametrize("kind", ["429", "503", "500", "cut", "html"])
def test_nothing_is_created_by_the_other_faults(sandbox, client, kind: str) -> None:
    sandbox.fault("create", kind)
    try:
        assert client.post("/exports", client.contacts()).status_code == int(kind if kind.isdigit() else 200)
    except requests.ConnectionError:
        assert kind == "cut"
    assert sandbox.stats.created_by_api == 0


def test_an_export_that_was_well_created_fails(sandbox, client) -> None:
    sandbox.fault("create", "then-fails")
    assert [client.create()["status"] for _ in range(2)] == ["error", "finished"]


def test_a_report_gets_the_faults_of_creating_too(sandbox, client) -> None:
    sandbox.fault("create", "503")
    assert client.post("/exports/type/data-explorer", client.report()).status_code == 503


def test_a_refused_body_does_not_become_an_export_by_a_fault(sandbox, client) -> None:
    sandbox.fault("create", "create-then-500")
    assert client.post("/exports", {}).status_code == 422
    assert sandbox.stats.created_by_api == 0


@pytest.mark.parametrize("on", ["list", "get"])
def test_a_fault_is_given_so_many_times_and_no_more(sandbox, client, on: str) -> None:
    path = "/exports" if on == "list" else f"/exports/{client.create()['id']}"
    sandbox.fault(on, "503", times=2)
    assert [client.get(path).status_code for _ in range(3)] == [503, 503, 200]
    assert sandbox.stats.faults == {f"{on}:503": 2}


def test_a_fault_lets_some_requests_pass_first(sandbox, client) -> None:
    sandbox.fault("list", "500", skip=2)
    assert [client.get("/exports").status_code for _ in range(4)] == [200, 200, 500, 200]


def test_faults_are_given_in_the_order_in_which_they_came(sandbox, client) -> None:
    sandbox.fault("list", "500")
    sandbox.fault("list", "503")
    assert [client.get("/exports").status_code for _ in range(3)] == [500, 503, 200]


def test_html_comes_in_place_of_json(sandbox, client) -> None:
    sandbox.fault("list", "html")
    sandbox.fault("list", "html", status=502)
    answers = [client.get("/exports") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 502]
    assert all(answer.text.startswith("<!DOCTYPE html>") for answer in answers)


@pytest.mark.parametrize("kind", ["hang", "cut"])
def test_a_read_is_not_answered(sandbox, client, kind: str) -> None:
    sandbox.fault("list", kind, seconds=0.1)
    with pytest.raises(requests.ConnectionError):
        client.get("/exports")


def test_a_fault_tells_when_to_come_again(sandbox, client) -> None:
    sandbox.fault("get", "429", retry_after=3)
    answer = client.get("/exports/0")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    assert sandbox.stats.rate_limited == 1


def test_a_redirection_leads_to_another_host_and_a_key_taken_there_is_counted(sandbox, client) -> None:
    sandbox.fault("list", "redirect", times=2)
    answer = client.get("/exports?page=2", allow_redirects=False)
    assert answer.status_code == 307
    assert answer.headers["Location"] == f"http://localhost:{sandbox.port}/exports?page=2"
    assert client.get("/exports").status_code == 401  # requests leaves the key behind
    assert sandbox.stats.foreign_requests_with_authorization == 0
    client.get(answer.headers["Location"])
    assert sandbox.stats.foreign_requests_with_authorization == 1


def test_a_share_of_the_requests_fails(sandbox, client) -> None:
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
def test_an_impossible_fault_is_refused_with_the_reason(client, fault: object, word: str) -> None:
    answer = client.control("POST", "faults", json=fault)
    assert answer.status_code == 400
    assert word in answer.json()["detail"]


def test_faults_are_queued_listed_and_forgotten_over_http(client) -> None:
    queued = client.control("POST", "faults", json={"on": "list", "kind": 500, "times": 3}).json()
    assert [(fault["on"], fault["kind"], fault["times"]) for fault in queued] == [("list", "500", 3)]
    client.get("/exports")
    assert client.control("GET", "faults").json()[0]["times"] == 2
    assert client.control("DELETE", "faults").json() == []
    assert client.get("/exports").status_code == 200


def test_a_fault_is_read_from_a_text() -> None:
    assert Fault.from_text("create:create-late:2") == Fault("create", "create-late", times=2)
    assert Fault.from_text("file:cut:bytes=7:seconds=0.5") == Fault("file", "cut", bytes=7, seconds=0.5)
    with pytest.raises(ValueError, match="kind"):
        Fault.from_text("list")
