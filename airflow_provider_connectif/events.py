# SPDX-License-Identifier: Apache-2.0
"""For DAGs that asset events start: which exports a run is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def announced_exports(triggering_asset_events: Mapping[Any, Any] | None, inlet_events: Any = None) -> list[str]:
    """Give the ids of the exports that a run is for, each once, oldest announcement first.

    Both arguments come from the task's context, and the task needs the asset among its ``inlets``. Of events that come
    close together, or while another run is active, Airflow (up to 3.3.2 at least, apache/airflow#56050) hands a run the
    first alone, and keeps the others for whenever the next event comes. So what was announced since the run's first
    event is read as well.

    :param triggering_asset_events: the run's; None or empty for a run that no event has started.
    :param inlet_events: the task's; without it, the run's own events are all.
    """
    found: dict[str, Any] = {}
    for asset, own in (triggering_asset_events or {}).items():
        events = list(own)
        if events and inlet_events is not None:
            first = min(event.timestamp for event in events)
            later = inlet_events[asset]
            if hasattr(later, "after"):  # not in Airflow 3.0, where all are read
                later = later.after(first.isoformat())
            events += [event for event in later if event.timestamp >= first]
        for event in sorted(events, key=lambda event: event.timestamp):
            payload = (event.extra or {}).get("payload")
            if isinstance(payload, Mapping) and isinstance(payload.get("export_id"), str):
                found.setdefault(payload["export_id"], event.timestamp)
    return list(found)
