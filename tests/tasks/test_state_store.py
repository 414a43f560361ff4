# SPDX-License-Identifier: Apache-2.0
"""A task's memory across its tries, and the one moment at which its waiting ends."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.api.creation import MemoryRecord
from airflow_provider_connectif.tasks import state_store
from airflow_provider_connectif.tasks.state_store import (
    EXPORT_KEY,
    WAIT_KEY,
    deadline_of,
    generation_of,
    record_of,
    record_to_create_with,
)
from tests.airflow_harness import Task


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The present moment, to be changed."""
    moment = [1000.0]
    monkeypatch.setattr(state_store.time, "time", lambda: moment[0])
    return moment


def test_outlives_a_try(task):
    record_of(task.context()).write({"state": "intent"})
    assert record_of(task.context()).read() == {"state": "intent"}
    record_of(task.context()).drop()
    assert record_of(task.context()).read() is None


def test_is_kept_under_a_key_of_its_own(task):
    record_of(task.context()).write({"state": "intent"})
    deadline_of(task.context(), 5)
    assert set(task.store.content) == {EXPORT_KEY, WAIT_KEY}


def test_something_else_in_its_place_is_nothing(task):
    task.store.set(EXPORT_KEY, "text")
    assert record_of(task.context()).read() is None


def test_without_airflows_store_lives_in_memory():
    context = Task(store=None).context()
    assert isinstance(record_of(context), MemoryRecord)
    assert isinstance(record_to_create_with(context), MemoryRecord)


def test_a_try_that_may_create_says_what_is_missing_without_the_store(task, caplog):
    caplog.set_level("INFO")
    record_to_create_with(task.context())
    record_of(Task(store=None).context())
    assert "no task state store" not in caplog.text
    record_to_create_with(Task(store=None).context())
    assert caplog.text.count("no task state store") == 1


def test_the_generation_is_what_clearing_raises(task):
    task.ti.max_tries = 4
    assert generation_of(task.context()) == 4
    task.ti.max_tries = None
    assert generation_of(task.context()) == 0


class TestTheDeadline:
    def test_is_fixed_when_the_first_try_begins_to_wait(self, task, clock):
        assert deadline_of(task.context(), 60) == 1060
        clock[0] = 1050.0
        assert deadline_of(task.context(), 60) == 1060

    def test_follows_a_timeout_that_the_author_changes(self, task, clock):
        deadline_of(task.context(), 60)
        clock[0] = 1050.0
        assert deadline_of(task.context(), 600) == 1600

    def test_is_anew_for_a_task_that_was_cleared(self, task, clock):
        deadline_of(task.context(), 60)
        clock[0], task.ti.max_tries = 2000.0, 1
        assert deadline_of(task.context(), 60) == 2060
        clock[0] = 2050.0
        assert deadline_of(task.context(), 60) == 2060
