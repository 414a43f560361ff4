# SPDX-License-Identifier: Apache-2.0
"""Promise 1, where processes run at the same time: two of one task instance, or tasks that ask the same."""

from __future__ import annotations

import random

import pytest

from airflow_provider_connectif.api.creation import LookupPolicy, create_once
from airflow_provider_connectif.api.errors import CreationOutcomeUnknown
from airflow_provider_connectif.api.export_request import ExportRequest
from tests.api.simulated_time import FakeApi, SimulatedTime, StoredRecord

CONTACTS = ExportRequest.of("contacts", segment_id="s1")


def a_try(simulated_time, api, record):
    grace = LookupPolicy(interval=15.0)
    return lambda: create_once(
        api.client(), CONTACTS, record, lookup_policy=grace, clock=simulated_time.clock, sleep=simulated_time.sleep
    )


def one_has_it_and_the_other_too_or_gives_up(results):
    """The ousted one waits for the owner's export, though not for ever: the owner's own trouble may take longer."""
    assert "export-0001" in results
    for result in results:
        assert result == "export-0001" or isinstance(result, CreationOutcomeUnknown), results


def test_two_processes_of_one_task_that_begin_at_the_same_time_create_one():
    """Each read, write and request takes 1 to 300 ms, as chance has it; the second begins within 2 s."""
    for seed in range(100):
        chance = random.Random(seed)
        simulated_time = SimulatedTime()
        simulated_time.latency = lambda chance=chance: chance.uniform(0.001, 0.3)
        api, record = FakeApi(simulated_time), StoredRecord(simulated_time)
        api.posts = chance.choice([["ok"], ["lost"], ["500 created"], ["late"], ["429", "lost"], ["500", "ok"]])
        results = simulated_time.together(
            (0.0, a_try(simulated_time, api, record)), (chance.uniform(0.0, 2.0), a_try(simulated_time, api, record))
        )
        assert len(api.exports) == 1, seed
        one_has_it_and_the_other_too_or_gives_up(results)
        assert record.state["export_id"] == "export-0001", seed


@pytest.mark.parametrize("start", [0.0, 0.05, 0.5, 1.2])
def test_a_process_that_is_held_up_for_a_moment_at_any_step_leads_to_one(start):
    for step in range(1, 26):
        simulated_time = SimulatedTime()
        api, record = FakeApi(simulated_time), StoredRecord(simulated_time)
        results = simulated_time.together(
            (0.0, a_try(simulated_time, api, record)), (start, a_try(simulated_time, api, record)), stall=(step, 0.8)
        )
        assert results == ["export-0001", "export-0001"], (step, results)
        assert len(api.exports) == 1, step


def test_a_process_that_is_held_up_for_a_minute_once_it_has_claimed_leads_to_one():
    """Between its last look at the record and the creation's arrival."""
    simulated_time = SimulatedTime()
    api, record = FakeApi(simulated_time), StoredRecord(simulated_time)
    _, steps = simulated_time.alone(a_try(simulated_time, api, record))
    arrival = steps - 3  # then come the answer, and the two ends of writing the id
    simulated_time = SimulatedTime()
    api, record = FakeApi(simulated_time), StoredRecord(simulated_time)
    results = simulated_time.together(
        (0.0, a_try(simulated_time, api, record)), (5.0, a_try(simulated_time, api, record)), stall=(arrival, 60.0)
    )
    assert api.exports[0]["createdAt"] > record.written[-1]["since"]
    assert results == ["export-0001", "export-0001"]
    assert len(api.exports) == 1


def test_a_process_whose_first_look_is_slow_finds_what_the_other_has_created_meanwhile():
    simulated_time = SimulatedTime()
    api, record = FakeApi(simulated_time), StoredRecord(simulated_time)
    answer_to_the_look = 4  # after the two ends of reading the record, and the request's way
    results = simulated_time.together(
        (0.0, a_try(simulated_time, api, record)),
        (0.5, a_try(simulated_time, api, record)),
        stall=(answer_to_the_look, 20.0),
    )
    assert results == ["export-0001", "export-0001"]
    assert len(api.exports) == 1


def test_a_process_that_takes_over_while_the_other_looks_leads_to_one():
    for start in (1.0, 20.0, 45.0, 61.0, 75.0, 95.0):
        simulated_time = SimulatedTime()
        api, record = FakeApi(simulated_time), StoredRecord(simulated_time)
        api.posts = ["timeout"]
        results = simulated_time.together(
            (0.0, a_try(simulated_time, api, record)), (start, a_try(simulated_time, api, record))
        )
        assert len(api.exports) == 1, start
        one_has_it_and_the_other_too_or_gives_up(results)


@pytest.mark.parametrize("fates", [["ok"] * 4, ["lost", "ok", "lost", "ok"], ["500 created"] * 4, ["late"] * 4])
def test_tasks_that_ask_the_same_at_the_same_time_create_at_most_one_each(fates):
    simulated_time = SimulatedTime()
    api = FakeApi(simulated_time)
    api.posts = list(fates)
    results = simulated_time.together(
        *[(start / 10, a_try(simulated_time, api, StoredRecord(simulated_time))) for start in range(4)]
    )
    assert len(api.exports) <= 4
    assert set(results) <= {export["id"] for export in api.exports}


def test_a_task_shares_the_export_of_another_only_where_its_own_answer_is_lost():
    simulated_time = SimulatedTime()
    api = FakeApi(simulated_time)
    first, second = simulated_time.together(
        (0.0, a_try(simulated_time, api, StoredRecord(simulated_time))),
        (0.001, a_try(simulated_time, api, StoredRecord(simulated_time))),
    )
    assert first != second
    assert len(api.exports) == 2
