# SPDX-License-Identifier: Apache-2.0
"""One wait for exports: what it asks, what it makes of the answers, and what it tells its log.

The same for a sensor that pokes, one that is rescheduled, and a trigger: they differ in who asks, and when.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.api.errors import ConnectifError, ExportFailed, NotFound, Refused
from airflow_provider_connectif.api.filters import ExportFilter
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.polling.survey import Survey, survey

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient


SHORTEST_INTERVAL = 0.2
"""Seconds between two looks, however impatient the one who waits is."""

_MOST_NAMED = 10


class Watch:
    """Waits for exports by id, or for the newest one that fits a match.

    :param export_ids: the ids.
    :param match: the match, in place of ids.
    :param log: where progress goes; nothing is said twice.
    :param begun: whether an earlier process has looked already. The first look of all finds a wrong connection;
        later ones bear every error that may pass.
    """

    def __init__(
        self,
        export_ids: Sequence[str] = (),
        match: ExportFilter | None = None,
        *,
        log: Any = None,
        begun: bool = False,
    ) -> None:
        self.export_ids = list(dict.fromkeys(export_ids))
        self.match = match
        self._log = log or logging.getLogger(__name__)
        self._begun = begun
        self._pending = set(self.export_ids)
        self._said: dict[str, str] = {}
        self._result: list[str] | None = None

    @property
    def result(self) -> list[str]:
        """The ids of the finished exports, in the order given; only once the wait is over."""
        if self._result is None:
            raise RuntimeError("The wait is not over.")
        return self._result

    @property
    def pending(self) -> list[str]:
        """The ids that are not seen finished yet."""
        return [export_id for export_id in self.export_ids if export_id in self._pending]

    @property
    def matches(self) -> list[ExportFilter]:
        """The match, where there is one, as a list."""
        return [] if self.match is None else [self.match]

    def look(self, client: ConnectifClient) -> bool:
        """Ask once and digest the answer.

        :param client: the API.
        :return: whether the wait is over.
        :raises ConnectifError: as :meth:`digest` and :meth:`digest_problem` do.
        """
        try:
            answer = survey(client, self.pending, self.matches)
        except ConnectifError as problem:
            self.digest_problem(problem)
            return False
        return self.digest(answer)

    def digest(self, answer: Survey) -> bool:
        """Take in an answer.

        :return: whether the wait is over.
        :raises NotFound: where an export does not exist, or no longer.
        :raises ExportFailed: where one has failed.
        """
        self._begun = True
        if self.match is not None:
            return self._digest_match(answer.newest.get(self.match))
        for export_id in self.pending:
            found = answer.exports.get(export_id)
            if isinstance(found, NotFound):
                raise found
            if found is not None and self._has_finished(found):
                self._pending.discard(export_id)
        if not self._pending:
            self._result = list(self.export_ids)
        return not self._pending

    def digest_problem(self, problem: ConnectifError) -> None:
        """Take in that nobody answered, or not usefully. One failed poll never fails a wait.

        :raises ConnectifError: the same, where it is a clear no, or the very first look went wrong for good.
        """
        if isinstance(problem, Refused) or (problem.final and not self._begun):
            raise problem
        self._log.warning("%s The wait goes on.", problem)

    def describe(self) -> str:
        """Say what is waited for and how far it is."""
        if self.match is not None:
            return f"an export with {self.match}" + "".join(f" ({said})" for said in self._said.values())
        pending = self.pending
        first = [f"{export_id} ({self._said.get(export_id, 'not seen')})" for export_id in pending[:_MOST_NAMED]]
        more = [f"{len(pending) - _MOST_NAMED} more"] if len(pending) > _MOST_NAMED else []
        return ", ".join(first + more)

    def _digest_match(self, found: Export | None) -> bool:
        if found is None:
            self._say("match", f"No export with {self.match} so far.")
            return False
        self._say("match", f"Export {found.id} is the newest with {self.match}.")
        if not self._has_finished(found):
            return False
        self._result = [found.id]
        return True

    def _has_finished(self, export: Export) -> bool:
        if export.failed:
            raise ExportFailed(export.id, export.status)
        if not export.status_is_known:
            self._say(
                f"{export.id} status",
                f"Export {export.id} has an unknown status, {export.status!r}: not yet.",
            )
        else:
            self._say(export.id, f"Export {export.id}: {export.describe_progress()}.")
        return export.finished

    def _say(self, about: str, words: str) -> None:
        if self._said.get(about) != words:
            self._said[about] = words
            self._log.info("%s", words)
