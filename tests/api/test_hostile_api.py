# SPDX-License-Identifier: Apache-2.0
"""Against a hostile API there is one export for each task, and no task fails for good: over real HTTP, in simulated
time, with a third of all responses odd.
"""

from __future__ import annotations

import asyncio
import itertools

import pytest

from airflow_provider_connectif.api.client import ConnectifClient
from airflow_provider_connectif.api.creation import create_once, mark_done
from airflow_provider_connectif.api.errors import ConnectifError, NotFound
from airflow_provider_connectif.api.export_request import ExportRequest
from airflow_provider_connectif.api.polling.wait import ExportWait
from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from airflow_provider_connectif.tasks.generation import TaskGeneration
from tests.api.simulated_time import SimulatedTime, StoredRecord
from tests.simulated_clock import SimulatedClock

pytestmark = pytest.mark.system

TASKS = 12
ATTEMPTS = 10


@pytest.fixture(scope="module")
def clock():
    return SimulatedClock()


@pytest.fixture(scope="module")
def running(clock):
    async def sleep(seconds):
        clock.sleep(seconds)
        await asyncio.sleep(0)

    with Sandbox(SandboxOptions(), clock=clock.time, sleep=sleep).serve() as running:
        yield running


@pytest.fixture(params=["newest", "oldest", "shuffled"])
def sandbox(running, request):
    running.reset()
    running.set(hostile_share=0.33, replica_lag=6.0, order=request.param, random_seed=1, seconds_per_export=20.0)
    return running


class Task:
    """A task that creates an export and waits for it, in as many attempts as it takes."""

    def __init__(self, sandbox, clock, number):
        self.sandbox, self.clock = sandbox, clock
        self.record = StoredRecord(SimulatedTime())
        self.request = ExportRequest.of("contacts", segment_id=f"s{number}")
        self.errors = []

    def run(self):
        for try_number in range(1, ATTEMPTS + 1):
            try:
                return self._attempt(TaskGeneration(ATTEMPTS, 0, try_number, ATTEMPTS))
            except ConnectifError as error:
                self.errors.append(error)
                if error.final:
                    break
                self.clock.sleep(300)
        raise AssertionError(self.errors)

    def _attempt(self, generation):
        clock = self.clock
        with ConnectifClient(
            self.sandbox.key,
            self.sandbox.url,
            timeout=5.0,
            clock=clock.time,
            monotonic=clock.monotonic,
            sleep=clock.sleep,
        ) as client:
            export_id = create_once(
                client, self.request, self.record, generation=generation, clock=clock.time, sleep=clock.sleep
            )
            client.get_existing_export(export_id)
            wait = ExportWait(
                [export_id], timeout=3600, deadline=clock.time() + 3600, clock=clock.time, monotonic=clock.monotonic
            )
            wait.run(client, itertools.repeat(5.0), sleep=clock.sleep)
            assert wait.result == [export_id]
            mark_done(self.record, generation)
            return export_id


def test_there_is_one_export_for_each_task_and_none_fails_for_good(sandbox, clock):
    tasks = [Task(sandbox, clock, number) for number in range(TASKS)]
    exports = [task.run() for task in tasks]
    assert [each["id"] for each in sandbox.stats.created] == exports
    assert sum(sandbox.stats.faults.values()) > TASKS
    assert not any(isinstance(error, NotFound) for task in tasks for error in task.errors)
