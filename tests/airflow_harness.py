# SPDX-License-Identifier: Apache-2.0
"""A sandbox with a connection to it, and task instances without a scheduler, for tests of Airflow's classes.

The API, the files and the folders are real. Only what Airflow stores about a task instance is simulated.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.serialization.serde import deserialize, serialize

from airflow_provider_connectif.api import client, creation
from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from airflow_provider_connectif.sandbox.server import RunningSandbox
from tests.leaks import words_before_a_secret

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

ACTIVITIES: dict[str, Any] = {
    "export_type": "activities",
    "from_date": "2026-11-01T00:00:00+00:00",
    "to_date": "2026-11-02T00:00:00+00:00",
}


class FakeTaskStateStore:
    """Airflow's task state store, as a task sees it: it outlives the task's processes, and contains only JSON."""

    def __init__(self) -> None:
        self.content: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.content[key]) if key in self.content else default

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self.content[key] = json.dumps(value, allow_nan=False)

    def delete(self, key: str) -> None:
        self.content.pop(key, None)


@dataclass
class FakeOperator:
    retries: int = 0


@dataclass
class FakeTaskInstance:
    """A task instance, with the attributes that the package uses."""

    dag_id: str = "lake"
    run_id: str = "run-1"
    task_id: str = "task"
    map_index: int = -1
    try_number: int = 1
    max_tries: int = 0
    task: FakeOperator = field(default_factory=lambda: FakeOperator())
    first_reschedule: datetime | None = None

    def get_first_reschedule_date(self, context: Mapping[str, Any]) -> datetime | None:
        return self.first_reschedule


@dataclass
class FakeDag:
    timezone: Any = timezone.utc


@dataclass
class FakeDagRun:
    clear_number: int = 0


@dataclass
class FakeTask:
    """What Airflow stores about one task instance across its attempts."""

    ti: FakeTaskInstance = field(default_factory=FakeTaskInstance)
    store: FakeTaskStateStore | None = field(default_factory=FakeTaskStateStore)
    dag: FakeDag = field(default_factory=FakeDag)
    dag_run: FakeDagRun = field(default_factory=FakeDagRun)
    reschedules: int = 0
    run_async: Callable[[Coroutine[Any, Any, Any]], Any] = asyncio.run

    def context(self) -> Any:
        context: dict[str, Any] = {
            "ti": self.ti,
            "dag": self.dag,
            "dag_run": self.dag_run,
            "task_reschedule_count": self.reschedules,
        }
        return context if self.store is None else {**context, "task_state_store": self.store}

    def retry(self) -> None:
        """Start another attempt."""
        self.ti.try_number += 1

    def clear(self) -> None:
        """Clear the task after its last attempt, as Airflow does, and start another attempt."""
        self.dag_run.clear_number += 1
        self.ti.max_tries = self.ti.try_number + self.ti.task.retries
        self.retry()

    def run(self, operator: BaseOperator) -> Any:
        """Run one attempt to its end; if the operator defers, run its trigger too, as a triggerer would."""
        try:
            return operator.execute(self.context())
        except TaskDeferred as deferred:
            return self.resume(operator, deferred, run_trigger(deferred, self.run_async))

    def resume(self, operator: BaseOperator, deferred: TaskDeferred, event: Any) -> Any:
        """Resume an operator after a deferral."""
        kwargs = json.loads(json.dumps({**(deferred.kwargs or {}), "event": event}))
        return operator.resume_execution(deferred.method_name, kwargs, self.context())

    def run_until_deferred(self, operator: BaseOperator) -> TaskDeferred:
        """Run an attempt that must defer, and return the deferral."""
        with pytest.raises(TaskDeferred) as caught:
            operator.execute(self.context())
        return caught.value


def run_trigger(deferred: TaskDeferred, run_async: Callable[[Coroutine[Any, Any, Any]], Any] = asyncio.run) -> Any:
    """Store and restore the trigger as Airflow does, run it, and return its event. No secret may be stored."""
    path, arguments = deferred.trigger.serialize()
    stored = json.dumps(serialize(arguments))
    assert words_before_a_secret(stored) is None
    assert path.rpartition(".")[2] == type(deferred.trigger).__name__
    return run_async(first_event(type(deferred.trigger)(**deserialize(json.loads(stored)))))


async def first_event(trigger: Any) -> Any:
    async for event in trigger.run():
        return event.payload
    raise AssertionError("the trigger ended without an event")


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[RunningSandbox]:
    with Sandbox(SandboxOptions(seconds_per_export=0.0, rows=5)).serve(port=0) as running:
        yield running


@pytest.fixture
def sandbox(running_sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> RunningSandbox:
    """A reset sandbox, whose exports finish immediately, and the default connection to it."""
    running_sandbox.reset()
    monkeypatch.setenv("AIRFLOW_CONN_CONNECTIF_DEFAULT", running_sandbox.connection_json)
    return running_sandbox


@pytest.fixture(autouse=True)
def short_lookup_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process uses a test's record, and the sandbox creates exports immediately, so lookups need not wait."""
    monkeypatch.setattr(
        creation,
        "LookupPolicy",
        functools.partial(creation.LookupPolicy, grace_period=0.2, interval=0.05, settle_time=0.0),
    )
    short = functools.partial(client.RefusalPolicy, seen=0.1, unseen=0.2, interval=0.05)
    monkeypatch.setattr(client, "RefusalPolicy", short)


@pytest.fixture(autouse=True)
def debug_log(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Everything that is logged, down to DEBUG. It may not contain a secret (promise 6)."""
    lines: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage() + str(record.exc_info or ""))

    listener = Listener(logging.DEBUG)
    logging.getLogger().addHandler(listener)
    for name in (None, "airflow_provider_connectif", "urllib3.connectionpool"):
        caplog.set_level(logging.DEBUG, logger=name)
    yield lines
    logging.getLogger().removeHandler(listener)
    assert words_before_a_secret("\n".join(lines)) is None


@pytest.fixture
def task_log(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Return a function that returns the log so far, including that of tasks, which is on standard output."""
    written: list[str] = []

    def read() -> str:
        written.append(capsys.readouterr().out)
        return "".join(written)

    yield read
    print("".join(written))  # for the check for secrets in tests/conftest.py


@pytest.fixture
def task() -> FakeTask:
    return FakeTask()
