# SPDX-License-Identifier: Apache-2.0
"""The XComs of one DAG, as Airflow 3.1 and later return them to a task, for tests without an Airflow."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from tests.airflow_harness import FakeDagRun, FakeTask, FakeTaskInstance

if TYPE_CHECKING:
    import pytest


@dataclass
class Run(FakeDagRun):
    run_id: str = "run-1"
    logical_date: datetime | None = None
    run_after: datetime | None = None


class FakeXComs:
    """What the tasks of a DAG pushed, used instead of ``airflow.sdk``'s XCom."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.content: dict[tuple[str, str, int, str], str] = {}
        self.requests = 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("airflow.providers.common.compat.sdk.XCom", self, raising=False)

    def task(self, run_id: str, *, day: int | None = None, map_index: int = -1, created: int = 28) -> FakeTask:
        """Return a task instance of a run.

        :param day: the day of its logical date, in November; None for a run that was triggered without one
        :param created: the day on which the run was created
        """
        logical_date = None if day is None else datetime(2026, 11, day, tzinfo=timezone.utc)
        run = Run(0, run_id, logical_date, datetime(2026, 11, created, 12, tzinfo=timezone.utc))
        self.runs.setdefault(run_id, run)
        return FakeTask(ti=XComTaskInstance(run_id=run_id, map_index=map_index, xcoms=self), dag_run=self.runs[run_id])

    def clear(self, run_id: str, map_index: int = -1) -> None:
        """Delete the XComs of a task instance, as Airflow does before each try."""
        for place in [place for place in self.content if (place[0], place[2]) == (run_id, map_index)]:
            del self.content[place]

    def get_all(
        self, *, key: str, dag_id: str, task_id: str, run_id: str, include_prior_dates: bool = False
    ) -> list[Any] | None:
        self.requests += 1
        runs = (
            [each for each in self.runs if self._date(each) <= self._date(run_id)] if include_prior_dates else [run_id]
        )
        rows = sorted((place for place in self.content if place[0] in runs), key=lambda place: place[2])
        return [json.loads(self.content[place]) for place in rows if place[1::2] == (task_id, key)] or None

    def get_one(self, *, key: str, dag_id: str, task_id: str, run_id: str, map_index: int) -> Any:
        self.requests += 1
        return json.loads(self.content.get((run_id, task_id, map_index, key), "null"))

    def _date(self, run_id: str) -> Any:
        return self.runs[run_id].logical_date or self.runs[run_id].run_after


@dataclass
class XComTaskInstance(FakeTaskInstance):
    """A task instance that pushes XComs, and knows the runs of its DAG."""

    xcoms: FakeXComs = field(default_factory=FakeXComs)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms.content[self.run_id, self.task_id, self.map_index, key] = json.dumps(value)

    def get_task_states(
        self, *, dag_id: str, task_ids: list[str], map_index: int | None = None, run_ids: list[str] | None = None
    ) -> dict[str, dict[str, str]]:
        """Return the states of this task in all runs: here, it is in each under each map index."""
        return {
            run_id: dict.fromkeys(task_ids, "success") for run_id in self.xcoms.runs if run_id in (run_ids or [run_id])
        }
