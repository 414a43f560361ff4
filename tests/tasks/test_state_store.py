# SPDX-License-Identifier: Apache-2.0
"""What a task remembers across its attempts, including the deadline of its wait."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.api.records import MemoryRecord
from airflow_provider_connectif.tasks.state_store import (
    EXPORT_KEY,
    WAIT_KEY,
    get_creation_record,
    get_record,
    get_wait_deadline,
)
from tests.airflow_harness import FakeTask


def test_a_record_outlives_an_attempt(task):
    get_record(task.context()).write({"state": "intent"})
    assert get_record(task.context()).read() == {"state": "intent"}
    get_record(task.context()).drop()
    assert get_record(task.context()).read() is None


def test_each_record_has_its_own_key(task):
    get_record(task.context()).write({"state": "intent"})
    get_wait_deadline(task.context(), 5)
    assert set(task.store.content) == {EXPORT_KEY, WAIT_KEY}


def test_another_value_in_its_place_is_ignored(task):
    task.store.set(EXPORT_KEY, "text")
    assert get_record(task.context()).read() is None


def test_a_record_is_in_memory_without_airflows_store():
    context = FakeTask(store=None).context()
    assert isinstance(get_record(context), MemoryRecord)
    assert isinstance(get_creation_record(context), MemoryRecord)


def test_an_attempt_that_may_create_an_export_logs_what_is_missing_without_the_store(task, caplog):
    caplog.set_level("INFO")
    get_creation_record(task.context())
    get_record(FakeTask(store=None).context())
    assert "no task state store" not in caplog.text
    get_creation_record(FakeTask(store=None).context())
    assert caplog.text.count("no task state store") == 1


class TestDeadline:
    def test_is_set_when_the_first_attempt_starts_to_wait(self, task):
        assert get_wait_deadline(task.context(), 60, clock=lambda: 1000.0) == 1060
        assert get_wait_deadline(task.context(), 60, clock=lambda: 1050.0) == 1060

    def test_follows_a_changed_timeout(self, task):
        get_wait_deadline(task.context(), 60, clock=lambda: 1000.0)
        assert get_wait_deadline(task.context(), 600, clock=lambda: 1050.0) == 1600

    @pytest.mark.parametrize("retries", [0, 1, 2, 5])
    def test_is_set_again_when_the_task_is_cleared_with_any_number_of_retries(self, task, retries):
        task.ti.max_tries = task.ti.task.retries = 2
        get_wait_deadline(task.context(), 60, clock=lambda: 1000.0)
        task.ti.task.retries = retries
        task.clear()
        assert get_wait_deadline(task.context(), 60, clock=lambda: 2000.0) == 2060
        assert get_wait_deadline(task.context(), 60, clock=lambda: 2050.0) == 2060

    def test_stays_the_same_when_another_task_is_cleared(self, task):
        task.ti.max_tries = task.ti.task.retries = 2
        get_wait_deadline(task.context(), 60, clock=lambda: 1000.0)
        for seconds in (1010.0, 1020.0):
            task.dag_run.clear_number += 1
            task.retry()
            assert get_wait_deadline(task.context(), 60, clock=lambda now=seconds: now) == 1060

    def test_is_written_once_per_attempt(self, task, monkeypatch):
        written = []
        monkeypatch.setattr(
            task.store, "set", lambda key, value: written.append(value) or type(task.store).set(task.store, key, value)
        )
        for _ in range(3):
            get_wait_deadline(task.context(), 60)
        assert len(written) == 1
