# SPDX-License-Identifier: Apache-2.0
"""Which exports a run is for, whatever Airflow hands it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.sdk import Asset

from airflow_provider_connectif.events import announced_exports

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
    """The asset's events as Airflow 3.3 gives them, by when they came."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.asked: list[str] = []

    def after(self, moment: str) -> list[Event]:
        self.asked.append(moment)
        return [event for event in self.events if event.timestamp >= datetime.fromisoformat(moment)]


ALL = [event(0, "before"), event(10, "own"), event(11, "left"), event(11, "own"), event(12, "over")]


def test_of_its_own_events_alone_where_nothing_else_is_known():
    assert announced_exports({ASSET: [event(2, "b"), event(1, "a"), event(3, "b")]}) == ["a", "b"]


def test_also_of_those_that_came_since_its_first_and_that_airflow_left_over():
    inlet = Inlet(ALL)
    assert announced_exports({ASSET: [ALL[1]]}, {ASSET: inlet}) == ["own", "left", "over"]
    assert inlet.asked == [ALL[1].timestamp.isoformat()]


def test_the_same_where_airflow_cannot_select_them():
    assert announced_exports({ASSET: [ALL[1]]}, {ASSET: ALL}) == ["own", "left", "over"]


def test_of_none_where_no_event_has_started_it():
    assert announced_exports(None, {ASSET: Inlet(ALL)}) == []
    assert announced_exports({}, {ASSET: Inlet(ALL)}) == []


def test_of_none_for_an_event_that_somebody_made_by_hand():
    assert announced_exports({ASSET: [Event(BEGIN), Event(BEGIN, {"payload": "text"})]}) == []
