# SPDX-License-Identifier: Apache-2.0
"""Noticing that the progress of an export no longer changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_connectif.api.models import Export

#: Seconds without progress after which an export counts as stalled. Large exports take hours, but their progress moves.
STALL_SECONDS = 30 * 60.0


class StallDetector:
    """Remembers when the progress of each export changed.

    An export that reports no progress never counts as stalled: nothing shows whether something is happening.

    :param clock: returns seconds, monotonic
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: dict[str, tuple[Any, float]] = {}
        self._reported: set[str] = set()

    def seconds_stalled(self, export: Export) -> float | None:
        """Take in an export that is not finished.

        :return: how long its progress has not changed, once per stall; otherwise None
        """
        now, state = self._clock(), (export.status, export.progress, export.total)
        last, since = self._last.get(export.id, (None, now))
        if last != state:
            self._last[export.id] = state, now
            self._reported.discard(export.id)
            return None
        if export.progress is None or now - since < STALL_SECONDS or export.id in self._reported:
            return None
        self._reported.add(export.id)
        return now - since
