# SPDX-License-Identifier: Apache-2.0
"""The exports that a run is for, whichever events Airflow passes to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.sdk import Asset

from airflow_provider_connectif.events import triggering_export_ids, triggering_exports

ASSET = Asset("finished")
BEGIN = datetime(2026, 11, 1, tzinfo=timezone.utc)


@dataclass
class Event:
    timestamp: datetime
    extra: dict[str, Any] = field(default_factory=dict)


def event(second: float, export_id: str) -> Event:
    payload = {"export_id": export_id, "export": {"id": export_id}}
    return Event(BEGIN + timedelta(seconds=second), {"from_trigger": True, "payload": payload})


class Inlet:
    """The asset's events as Airflow 3.3 passes them, which can be filtered by time."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.requested: list[str] = []

    def after(self, timestamp: str) -> list[Event]:
        self.requested.append(timestamp)
        return [event for event in self.events if event.timestamp >= datetime.fromisoformat(timestamp)]


ALL = [event(0, "before"), event(10, "own"), event(11, "left"), event(11, "own"), event(12, "over")]


def test_returns_the_runs_own_exports_without_inlet_events():
    assert triggering_export_ids({ASSET: [event(2, "b"), event(1, "a"), event(3, "b")]}) == ["a", "b"]


def test_returns_the_payload_of_each_exports_first_event():
    events = [event(2, "b"), event(1, "a"), event(3, "b")]
    assert triggering_exports({ASSET: events}) == [events[1].extra["payload"], events[0].extra["payload"]]
    assert triggering_exports({ASSET: [ALL[1]]}, {ASSET: ALL})[1]["export"] == {"id": "left"}


def test_adds_the_exports_since_the_runs_first_event():
    inlet = Inlet(ALL)
    assert triggering_export_ids({ASSET: [ALL[1]]}, {ASSET: inlet}) == ["own", "left", "over"]
    assert inlet.requested == [ALL[1].timestamp.isoformat()]


def test_adds_them_if_airflow_cannot_filter_events():
    assert triggering_export_ids({ASSET: [ALL[1]]}, {ASSET: ALL}) == ["own", "left", "over"]


def test_returns_nothing_if_no_event_triggered_the_run():
    assert triggering_export_ids(None, {ASSET: Inlet(ALL)}) == []
    assert triggering_export_ids({}, {ASSET: Inlet(ALL)}) == []


def test_ignores_events_that_were_created_manually():
    assert triggering_export_ids({ASSET: [Event(BEGIN), Event(BEGIN, {"payload": "text"})]}) == []
