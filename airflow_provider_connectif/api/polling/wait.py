# SPDX-License-Identifier: Apache-2.0
"""Waiting for exports: what to poll, how to handle the result, what to log, and when to stop.

A sensor in any mode, a trigger, the transfer operator and the command line share this; they differ in who polls, and
when.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.api.errors import ConnectifError, ExportFailed, NotFound, Refused, WaitTimeout
from airflow_provider_connectif.api.filters import ExportFilter
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.polling.poll import PollResult, poll_exports

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient

#: Seconds between two polls, whatever interval is asked for.
MIN_INTERVAL = 0.2

_MAX_IDS_DESCRIBED = 10


class ExportWait:
    """A wait for exports by id, or for the newest export that matches a filter.

    :param export_ids: the ids
    :param export_filter: the filter, instead of ids
    :param timeout: seconds, for the error message
    :param deadline: the time at which the wait ends, in seconds since the epoch
    :param resumed: whether an earlier process has polled before. Only the very first poll of a wait raises every final
        error, since it is the one that shows a wrong connection. Later polls raise only refusals.
    :param log: where progress is logged; nothing is logged twice
    :param clock: returns seconds since the epoch
    """

    def __init__(
        self,
        export_ids: Sequence[str] = (),
        export_filter: ExportFilter | None = None,
        *,
        timeout: float = math.inf,
        deadline: float = math.inf,
        resumed: bool = False,
        log: Any = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.export_ids = list(dict.fromkeys(export_ids))
        self.export_filter = export_filter
        self.timeout = timeout
        self.deadline = deadline
        self._tolerant = resumed
        self._log = log or logging.getLogger(__name__)
        self._clock = clock
        self._pending = set(self.export_ids)
        self._last_messages: dict[str, str] = {}
        self._result: list[str] | None = None

    @property
    def result(self) -> list[str]:
        """The ids of the finished exports, in the order given; available when the wait is over."""
        if self._result is None:
            raise RuntimeError("The wait is not over.")
        return self._result

    @property
    def pending(self) -> list[str]:
        """The ids of the exports that have not been seen finished yet."""
        return [export_id for export_id in self.export_ids if export_id in self._pending]

    @property
    def filters(self) -> list[ExportFilter]:
        """The filter as a list, which is empty if there is no filter."""
        return [] if self.export_filter is None else [self.export_filter]

    def run(
        self, client: ConnectifClient, intervals: Iterable[float], *, sleep: Callable[[float], None] = time.sleep
    ) -> list[str]:
        """Poll until the exports are finished.

        :param client: the API
        :param intervals: seconds between two polls, as many as are needed
        :param sleep: takes seconds
        :return: the ids of the finished exports
        :raises ConnectifError: see :meth:`poll`
        """
        pauses = iter(intervals)
        while not self.poll(client):
            pause = max(next(pauses), MIN_INTERVAL)
            sleep(max(0.0, min(pause, self.deadline - self._clock())))
        return self.result

    def poll(self, client: ConnectifClient) -> bool:
        """Poll once.

        :param client: the API
        :return: whether the wait is over
        :raises WaitTimeout: if it is not, and the deadline has passed
        :raises ConnectifError: see :meth:`handle_result` and :meth:`handle_error`
        """
        try:
            result = poll_exports(client, self.pending, self.filters)
        except ConnectifError as error:
            self.handle_error(error)
        else:
            if self.handle_result(result):
                return True
        if self._clock() >= self.deadline:
            raise WaitTimeout(self.describe(), self.timeout)
        return False

    def handle_result(self, result: PollResult) -> bool:
        """Take in the result of a poll.

        :return: whether the wait is over
        :raises NotFound: if an export does not exist, or no longer exists
        :raises ExportFailed: if an export has failed
        """
        self._tolerant = True
        if self.export_filter is not None:
            return self._handle_newest(result.newest.get(self.export_filter))
        for export_id in self.pending:
            found = result.exports.get(export_id)
            if isinstance(found, NotFound):
                raise found
            if found is not None and self._is_finished(found):
                self._pending.discard(export_id)
        if not self._pending:
            self._result = list(self.export_ids)
        return not self._pending

    def handle_error(self, error: ConnectifError) -> None:
        """Log the error of a failed poll, which does not end the wait.

        :raises ConnectifError: the same error, if the API refused the request, or if it is a final error of the very
            first poll
        """
        if isinstance(error, Refused) or (error.final and not self._tolerant):
            raise error
        self._log.warning("%s Still waiting.", error)

    def describe(self) -> str:
        """Describe what is being waited for, and its progress."""
        if self.export_filter is not None:
            return f"an export with {self.export_filter}" + "".join(
                f" ({text})" for text in self._last_messages.values()
            )
        pending = self.pending
        texts = [
            f"{export_id} ({self._last_messages.get(export_id, 'not seen')})"
            for export_id in pending[:_MAX_IDS_DESCRIBED]
        ]
        if len(pending) > _MAX_IDS_DESCRIBED:
            texts.append(f"{len(pending) - _MAX_IDS_DESCRIBED} more")
        return ", ".join(texts)

    def _handle_newest(self, export: Export | None) -> bool:
        if export is None:
            self._log_change("filter", f"No export with {self.export_filter} yet.")
            return False
        self._log_change("filter", f"Export {export.id} is the newest with {self.export_filter}.")
        if not self._is_finished(export):
            return False
        self._result = [export.id]
        return True

    def _is_finished(self, export: Export) -> bool:
        if export.failed:
            raise ExportFailed(export.id, export.status)
        if export.status_is_known:
            self._log_change(export.id, f"Export {export.id}: {export.describe_progress()}.")
        else:
            self._log_change(
                f"{export.id} status",
                f"Export {export.id} has an unknown status, {export.status!r}; it is treated as not finished.",
            )
        return export.finished

    def _log_change(self, subject: str, message: str) -> None:
        if self._last_messages.get(subject) != message:
            self._last_messages[subject] = message
            self._log.info("%s", message)
