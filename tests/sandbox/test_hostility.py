# SPDX-License-Identifier: Apache-2.0
"""A hostile API: odd responses, queued or at random, and replicas that lag behind."""

from __future__ import annotations

import random

import pytest
import requests

from airflow_provider_connectif.sandbox.faults import Fault
from airflow_provider_connectif.sandbox.hostility import random_fault
from tests.sandbox.conftest import NOON


@pytest.mark.parametrize("on", ["list", "create"])
def test_a_body_is_empty(sandbox, client, on) -> None:
    sandbox.fault(on, "empty")
    response = client.get("/exports") if on == "list" else client.post("/exports", client.contacts())
    assert (response.status_code, response.content) == ({"list": 200, "create": 201}[on], b"")
    assert sandbox.stats.created_by_api == (on == "create")


def test_a_body_is_cut(sandbox, client) -> None:
    export_id = sandbox.create_in_app()
    sandbox.fault("get", "cut-json")
    cut = client.get(f"/exports/{export_id}")
    with pytest.raises(requests.JSONDecodeError):
        cut.json()
    assert cut.text.startswith('{"id":"')
    assert client.get(f"/exports/{export_id}").json()["id"] == export_id


def test_an_export_is_created_and_the_response_is_html(sandbox, client) -> None:
    sandbox.fault("create", "create-then-html")
    assert "<html>" in client.post("/exports", client.contacts()).text
    assert sandbox.stats.created_by_api == 1


def test_a_response_is_slow(sandbox, client, clock) -> None:
    sandbox.fault("list", "slow", seconds=3)
    assert client.get("/exports").json()["results"] == []
    assert clock() == NOON + 3


@pytest.mark.parametrize(("kind", "status"), [("headers", 200), ("429", 429)])
def test_a_response_has_odd_headers(sandbox, client, kind, status) -> None:
    sandbox.fault("list", kind, headers={"Retry-After": "100000"})
    response = client.get("/exports")
    assert (response.status_code, response.headers["Retry-After"]) == (status, "100000")


@pytest.mark.parametrize("headers", ["Retry-After: 5", {"Retry-After": 5}])
def test_headers_must_be_strings(headers) -> None:
    with pytest.raises(ValueError, match="headers"):
        Fault("list", "headers", headers=headers)


def test_a_new_export_is_missing_from_half_of_the_responses_until_the_replicas_have_caught_up(
    sandbox, client, clock
) -> None:
    sandbox.set(replica_lag=10.0)
    export_id = client.post("/exports", client.contacts()).json()["id"]

    def statuses() -> set[int]:
        return {client.get(f"/exports/{export_id}").status_code for _ in range(40)}

    def listed() -> set[int]:
        return {len(client.get("/exports").json()["results"]) for _ in range(40)}

    assert statuses() == {200, 404}
    assert listed() == {0, 1}
    assert 0 < sandbox.stats.faults["lag"] < 80
    clock.move(10)
    assert statuses() == {200}
    assert listed() == {1}


def test_a_share_of_the_requests_has_a_random_fault(sandbox, client) -> None:
    sandbox.set(hostile_share=0.5, random_seed=7)
    for _ in range(60):
        try:
            client.get("/exports")
        except requests.ConnectionError:
            continue
    faults = sandbox.stats.faults
    assert 20 <= sum(faults.values()) <= 40
    assert {"list:html", "list:empty", "list:cut-json", "list:429"} <= set(faults)


@pytest.mark.parametrize("on", ["create", "list", "get"])
def test_no_random_fault_is_the_last_word(on) -> None:
    faults = [random_fault(on, random.Random(seed), NOON) for seed in range(300)]
    assert {fault.on for fault in faults} == {on}
    assert all(fault.times == 1 and fault.seconds <= 30 for fault in faults)
    assert not [fault for fault in faults if fault.kind in ("401", "422", "then-fails", "redirect")]
    waits = {header for fault in faults for header in fault.headers.values()}
    assert {"100000", str(int(NOON) + 1), str(int(NOON + 2) * 1000)} <= waits
