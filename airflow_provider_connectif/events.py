# SPDX-License-Identifier: Apache-2.0
"""For DAGs that asset events trigger: the exports that a run is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def triggering_export_ids(triggering_asset_events: Mapping[Any, Any] | None, inlet_events: Any = None) -> list[str]:
    """Return the ids of the exports that a run is for, each once, in the order of their events.

    :param triggering_asset_events: see :func:`triggering_exports`
    :param inlet_events: see :func:`triggering_exports`
    """
    return [payload["export_id"] for payload in triggering_exports(triggering_asset_events, inlet_events)]


def triggering_exports(
    triggering_asset_events: Mapping[Any, Any] | None, inlet_events: Any = None
) -> list[dict[str, Any]]:
    """Return the payloads of the events that a run is for, one for each export, in the order of the events.

    A payload has ``export_id``, ``export`` (the export as the API describes it) and ``link`` (the URL of its report in
    the Connectif application, or None).

    Pass both arguments from the task's context, and list the asset in the task's ``inlets``. If several events arrive
    at about the same time, or while another run is active, Airflow (at least up to 3.3.2, apache/airflow#56050) passes
    only the first to a run, and keeps the others until the next event arrives. So the events since the run's first
    event are included.

    :param triggering_asset_events: the run's events; None or empty if no event has triggered the run
    :param inlet_events: the events of the task's inlets; without them, only the run's own events are considered
    """
    found: dict[str, dict[str, Any]] = {}
    for asset, run_events in (triggering_asset_events or {}).items():
        events = list(run_events)
        if events and inlet_events is not None:
            first = min(event.timestamp for event in events)
            later = inlet_events[asset]
            if hasattr(later, "after"):  # not in Airflow 3.0, where all events are read
                later = later.after(first.isoformat())
            events += [event for event in later if event.timestamp >= first]
        for event in sorted(events, key=lambda event: event.timestamp):
            payload = (event.extra or {}).get("payload")
            if isinstance(payload, Mapping) and isinstance(payload.get("export_id"), str):
                found.setdefault(payload["export_id"], dict(payload))
    return list(found.values())
