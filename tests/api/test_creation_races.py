# SPDX-License-Identifier: Apache-2.0
"""Promise 1 with concurrent processes: two of one task instance, or tasks with the same arguments."""

from __future__ import annotations

import random

import pytest

from airflow_provider_connectif.api.creation import LookupPolicy, create_once
from airflow_provider_connectif.api.errors import CreationOutcomeUnknown
from airflow_provider_connectif.api.export_request import ExportRequest
from tests.api.simulated_time import FakeApi, SimulatedTime, StoredRecord

CONTACTS = ExportRequest.of("contacts", segment_id="s1")


def attempt(simulated_time, api, record):
    lookup_policy = LookupPolicy(interval=15.0)
    return lambda: create_once(
        api.client(),
        CONTACTS,
        record,
        lookup_policy=lookup_policy,
        clock=simulated_time.clock,
        sleep=simulated_time.sleep,
    )


def check_results(results):
    """Check that one process has the export, and that the other has it too or gave up waiting for it."""
    assert "export-0001" in results
    for result in results:
        assert result == "export-0001" or isinstance(result, CreationOutcomeUnknown), results


def test_two_processes_of_one_task_that_start_at_the_same_time_create_one_export():
    """Each read, write and request takes a random time from 1 to 300 ms; the second process starts within 2 s."""
    for seed in range(100):
        chance = random.Random(seed)
        simulated_time = SimulatedTime()
        simulated_time.latency = lambda chance=chance: chance.uniform(0.001, 0.3)
        api, record = FakeApi(simulated_time), StoredRecord(simulated_time)
        api.posts = chance.choice([["ok"], ["lost"], ["500 created"], ["late"], ["429", "lost"], ["500", "ok"]])
        results = simulated_time.run_concurrently(
            (0.0, attempt(simulated_time, api, record)),
            (chance.uniform(0.0, 2.0), attempt(simulated_time, api, record)),
        )
        assert len(api.exports) == 1, seed
        check_results(results)
        assert record.state["export_id"] == "export-0001", seed


@pytest.mark.parametrize("start", [0.0, 0.05, 0.5, 1.2])
def test_a_process_that_is_briefly_delayed_at_any_step_leads_to_one_export(start):
    for step in range(1, 26):
        simulated_time = SimulatedTime()
        api, record = FakeApi(simulated_time), StoredRecord(simulated_time)
        results = simulated_time.run_concurrently(
            (0.0, attempt(simulated_time, api, record)),
            (start, attempt(simulated_time, api, record)),
            stall=(step, 0.8),
        )
        assert results == ["export-0001", "export-0001"], (step, results)
        assert len(api.exports) == 1, step


def test_a_process_that_is_delayed_for_a_minute_after_its_claim_leads_to_one_export():
    """It is delayed between its last read of the record and the arrival of its request."""
    simulated_time = SimulatedTime()
    api, record = FakeApi(simulated_time), StoredRecord(simulated_time)
    _, steps = simulated_time.run_alone(attempt(simulated_time, api, record))
    arrival = steps - 3  # followed by the response, and the start and end of writing the id
    simulated_time = SimulatedTime()
    api, record = FakeApi(simulated_time), StoredRecord(simulated_time)
    results = simulated_time.run_concurrently(
        (0.0, attempt(simulated_time, api, record)), (5.0, attempt(simulated_time, api, record)), stall=(arrival, 60.0)
    )
    assert api.exports[0]["createdAt"] > record.written[-1]["since"]
    assert results == ["export-0001", "export-0001"]
    assert len(api.exports) == 1


def test_a_process_whose_first_lookup_is_slow_finds_the_export_of_the_other():
    simulated_time = SimulatedTime()
    api, record = FakeApi(simulated_time), StoredRecord(simulated_time)
    lookup_response = 4  # after the start and end of reading the record, and sending the request
    results = simulated_time.run_concurrently(
        (0.0, attempt(simulated_time, api, record)),
        (0.5, attempt(simulated_time, api, record)),
        stall=(lookup_response, 20.0),
    )
    assert results == ["export-0001", "export-0001"]
    assert len(api.exports) == 1


def test_a_process_that_takes_over_during_a_lookup_leads_to_one_export():
    for start in (1.0, 20.0, 45.0, 61.0, 75.0, 95.0):
        simulated_time = SimulatedTime()
        api, record = FakeApi(simulated_time), StoredRecord(simulated_time)
        api.posts = ["timeout"]
        results = simulated_time.run_concurrently(
            (0.0, attempt(simulated_time, api, record)), (start, attempt(simulated_time, api, record))
        )
        assert len(api.exports) == 1, start
        check_results(results)


@pytest.mark.parametrize("outcomes", [["ok"] * 4, ["lost", "ok", "lost", "ok"], ["500 created"] * 4, ["late"] * 4])
def test_concurrent_tasks_with_the_same_arguments_create_at_most_one_export_each(outcomes):
    simulated_time = SimulatedTime()
    api = FakeApi(simulated_time)
    api.posts = list(outcomes)
    results = simulated_time.run_concurrently(
        *[(start / 10, attempt(simulated_time, api, StoredRecord(simulated_time))) for start in range(4)]
    )
    assert len(api.exports) <= 4
    assert set(results) <= {export["id"] for export in api.exports}


def test_a_task_does_not_adopt_the_export_of_another_unless_its_own_response_is_lost():
    simulated_time = SimulatedTime()
    api = FakeApi(simulated_time)
    first, second = simulated_time.run_concurrently(
        (0.0, attempt(simulated_time, api, StoredRecord(simulated_time))),
        (0.001, attempt(simulated_time, api, StoredRecord(simulated_time))),
    )
    assert first != second
    assert len(api.exports) == 2
