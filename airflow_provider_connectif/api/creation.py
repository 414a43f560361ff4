# SPDX-License-Identifier: Apache-2.0
"""One export for one piece of work, whatever dies on the way.

The intent (what is asked, and since when) is written to a record *before* the creation is sent, the export's
id after it::

    nothing ──write──> intent ──POST──> created (id) ──work ends──> done (id)
                         │  ▲
             an intent without an id: the list is searched for an export with the recorded parameters, made
             since the recorded moment. Found: it is adopted. Not found, and the time of grace has passed:
             the creation is sent (again).

Adopting is safe, for the same question asked after the same moment has the same answer. A creation whose fate
is not known is never sent again before it has been looked up over the time of grace: a slow server may create it
after we gave up.

Two processes of one piece of work can be alive at once. The record names its owner, the one that wrote last;
the other one, when it finds that, sends nothing and takes what the owner creates. A store that only reads and
writes cannot do both in one: so an owner waits a moment after writing, for another's write that may be under way,
and looks whether it still is the owner (Fischer's mutual exclusion). What is left is a process that is held up
between such a read and its write for longer than that moment.

``done`` is kept, with the number that clearing a task raises and a retry does not (Airflow's ``max_tries``): so
a retry whose success was never reported finds its export, and a cleared success asks anew. So does a task that was
cleared with other arguments than those that are recorded: somebody has mended them.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_connectif.api.errors import (
    ApiError,
    ConnectionProblem,
    CreationUnknown,
    RateLimited,
    Refused,
    RequestRejected,
)
from airflow_provider_connectif.api.export_request import ExportRequest
from airflow_provider_connectif.api.filters import ExportFilter
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.timestamps import parse_timestamp_or_none

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient

log = logging.getLogger(__name__)

INTENT, CREATED, DONE = "intent", "created", "done"


class Record(Protocol):
    """Where the state of one piece of work outlives the process: Airflow's task state store, or memory."""

    def read(self) -> dict[str, Any] | None:
        """Give what was written last, None where nothing was."""

    def write(self, state: dict[str, Any]) -> None:
        """Replace what was written."""

    def drop(self) -> None:
        """Forget it."""


class MemoryRecord:
    """A record that lives as long as the process: what remains where there is no store."""

    def __init__(self) -> None:
        self._state: dict[str, Any] | None = None

    def read(self) -> dict[str, Any] | None:
        """Give what was written last."""
        return self._state

    def write(self, state: dict[str, Any]) -> None:
        """Replace what was written."""
        self._state = dict(state)

    def drop(self) -> None:
        """Forget it."""
        self._state = None


@dataclass(frozen=True)
class LookupPolicy:
    """How an export is looked for whose creation got no answer.

    :param seconds: after the sender gave up on an answer, for a slow server to create it.
    :param pause: seconds between two looks.
    :param clocks: seconds that the API's own clocks may differ by: ``Date`` of one machine, ``createdAt`` of
        another.
    :param sends: how often one try sends the creation at the most.
    :param settle: seconds between claiming the work and sending, for another process's claim to show.
    """

    seconds: float = 60.0
    pause: float = 5.0
    clocks: float = 30.0
    sends: int = 3
    settle: float = 1.0


def create_once(
    client: ConnectifClient,
    request: ExportRequest,
    record: Record,
    *,
    generation: int = 0,
    grace: LookupPolicy | None = None,
    patience: float = 600.0,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Create the export, or find the one that this piece of work has created already.

    :param client: the API.
    :param request: what to ask for, where nothing was asked before. A recorded request has precedence.
    :param record: this piece of work's record.
    :param generation: grows when the work is to be done anew after it succeeded (Airflow's ``max_tries``).
    :param grace: how an export is looked for.
    :param patience: seconds to bear the rate limit, or a server that cannot be reached, before giving up.
    :param clock: epoch seconds.
    :param sleep: takes seconds.
    :return: the export's id.
    :raises Refused: where the API does not accept the request.
    :raises Unavailable: where it could not be reached, or was not to be had, within the patience.
    :raises CreationUnknown: where no export was found after the creation was sent as often as allowed.
    """
    return _Creation(client, record, grace or LookupPolicy(), patience, clock, sleep).run(request, generation)


def mark_done(record: Record, generation: int) -> None:
    """Note that the work has succeeded, so that only a higher generation asks anew."""
    state = record.read()
    if state is not None and state.get("export_id"):
        record.write({**state, "state": DONE, "generation": generation})


class _Creation:
    def __init__(
        self,
        client: ConnectifClient,
        record: Record,
        grace: LookupPolicy,
        patience: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._client = client
        self._record = record
        self._grace = grace
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._owner = secrets.token_hex(8)
        # Nobody else can write to this process's memory.
        self._settle = 0.0 if isinstance(record, MemoryRecord) else grace.settle

    def run(self, request: ExportRequest, generation: int) -> str:
        known = self._record.read()
        state = known
        if state is not None and int(state.get("generation", 0)) < generation:
            state = self._after_clearing(state, request)
        if state is not None and state.get("export_id"):
            log.info("Resuming with export %s, which an earlier try created.", state["export_id"])
            return str(state["export_id"])
        if state is not None and state.get("state") == INTENT:
            log.info("An earlier try may have created an export and died: looking for it.")
            # From here on it is ours: the earlier process, should it still be alive, sees that and sends nothing.
            state = known = {**state, "owner": self._owner}
            self._record.write(state)
            found = self._look_over_grace(state, self._given_up(state))
            if found is not None:
                return self._adopt(found, state)
        if state is None:
            state = self._intend(request, generation, known)
            if state is None:
                log.info("Another process of this task has begun at the same time.")
                return self.run(request, generation)
        return self._send(state)

    @staticmethod
    def _after_clearing(state: dict[str, Any], request: ExportRequest) -> dict[str, Any] | None:
        """What is left of the record after somebody cleared the task: nothing, where a new export is wanted."""
        if state.get("state") == DONE:
            log.info("This task has succeeded before and was cleared: a new export is asked for.")
            return None
        if state.get("request") != request.body():
            log.info("This task was cleared, and its arguments are others than before: a new export is asked for.")
            return None
        return state

    def _intend(self, request: ExportRequest, generation: int, known: dict[str, Any] | None) -> dict[str, Any] | None:
        """Write the intent, unless the record is no longer as known.

        Its moment is the API's own. What is like it already is noted, not to be adopted: the first page shows
        it, should the list begin with the newest; older ones are told by their moment anyway.
        """
        page = next(self._client.list_pages(), [])
        others = [export.id for export in page if request.matches(export)]
        if known is not None and known.get("export_id"):
            others.append(known["export_id"])
        state = {
            "state": INTENT,
            "owner": self._owner,
            "generation": generation,
            "request": request.body(),
            "since": self._client.server_now().isoformat(),
            "others": others,
        }
        if _whose(self._record.read()) != _whose(known):
            return None
        self._record.write(state)
        return state

    def _send(self, state: dict[str, Any]) -> str:
        request = ExportRequest.from_body(state["request"])
        give_up = self._clock() + self._patience
        perhaps_created = "sent" in state
        sends = 0
        attempt = 0
        while True:
            attempt += 1
            try:
                export = self._send_if_ours(state, request)
            except (RateLimited, ConnectionProblem) as problem:
                # Surely nothing was created: it may be sent again.
                wait = self._client.wait_before_retry(problem, attempt)
                if self._clock() + wait > give_up:
                    raise
                log.info("%s Trying again in %.1f s.", problem, wait)
                self._sleep(wait)
            except Refused as problem:
                # Without the record, the next try asks with the arguments as they are mended by then.
                if isinstance(problem, RequestRejected) or not perhaps_created:
                    self._record.drop()
                raise
            except CreationUnknown as problem:
                perhaps_created = True
                sends += 1
                log.warning("%s Looking whether the export was created all the same.", problem)
                found = self._look_over_grace(state, self._client.server_now())
                if found is not None:
                    return self._adopt(found, state)
                if sends >= self._grace.sends:
                    raise CreationUnknown(
                        f"Connectif was asked {sends} times for this export and did not create it. {problem}"
                    ) from None
                log.warning("No such export appeared: asking for it again.")
            else:
                if export is None:
                    return self._look_for_theirs(state)
                log.info("Created export %s (%s).", export.id, request.export_type)
                self._record.write({**state, "state": CREATED, "export_id": export.id})
                return export.id

    def _send_if_ours(self, state: dict[str, Any], request: ExportRequest) -> Export | None:
        """Send the creation; None, and nothing sent, where another process has taken the work over."""
        # Waiting comes first, so that the noted moment is the moment of sending, and owning it is fresh.
        self._client.keep_pace()
        if not self._is_still_ours():
            return None
        self._record.write({**state, "sent": self._client.server_now().isoformat()})
        if self._settle:
            self._sleep(self._settle)
        if not self._is_still_ours():
            return None
        return self._client.send_creation(request)

    def _is_still_ours(self) -> bool:
        state = self._record.read()
        return state is not None and state.get("owner") == self._owner and not state.get("export_id")

    def _look_for_theirs(self, state: Mapping[str, Any]) -> str:
        log.warning("Another process has taken this task over: looking for the export that it creates.")
        theirs = self._recorded_id()
        if theirs is None:
            # It may first wait out the grace of what it takes for our sending.
            patience = timedelta(seconds=self._client.timeout + self._grace.seconds)
            found = self._look_over_grace(state, self._client.server_now() + patience)
            theirs = self._recorded_id() or (found.id if found is not None else None)
        if theirs is None:
            raise CreationUnknown("Another process of this task has taken it over, and has created no export so far.")
        return theirs

    def _recorded_id(self) -> str | None:
        state = self._record.read()
        return str(state["export_id"]) if state is not None and state.get("export_id") else None

    def _adopt(self, export: Export, state: Mapping[str, Any]) -> str:
        log.info(
            "Adopted export %s, created at %s by an earlier request of this task.",
            export.id,
            export.created_at,
        )
        self._record.write({**state, "state": CREATED, "export_id": export.id})
        return export.id

    def _given_up(self, state: Mapping[str, Any]) -> datetime | None:
        """When an earlier process gave up on its answer, at the latest; None where it had sent nothing."""
        sent = parse_timestamp_or_none(state.get("sent"))
        return None if sent is None else sent + timedelta(seconds=self._client.timeout)

    def _look_over_grace(self, state: Mapping[str, Any], given_up: datetime | None) -> Export | None:
        """Look until the time of grace has passed by the API's clock; at least once."""
        give_up = self._clock() + self._patience
        attempt = 0
        while True:
            attempt += 1
            try:
                found = self._look(state)
            except ApiError as problem:
                if problem.final or self._clock() > give_up:
                    raise
                self._sleep(self._client.wait_before_retry(problem, attempt))
                continue
            if found is not None:
                return found
            if given_up is None or self._client.server_now() > given_up + timedelta(seconds=self._grace.seconds):
                return None
            self._sleep(self._grace.pause)

    def _look(self, state: Mapping[str, Any]) -> Export | None:
        request = ExportRequest.from_body(state["request"])
        since = self._moment(state["since"])
        earliest = since - timedelta(seconds=self._grace.clocks)
        others = set(state.get("others", ()))
        fitting = [
            export
            for export in self._client.list_exports(ExportFilter(request.export_type, created_after=earliest))
            if export.id not in others and request.matches(export)
        ]
        # The oldest is surest to be the first sending's. One that has failed is of no use while another has not,
        # and one that seems older than the intent is ours only if the clocks differ.
        return min(
            fitting,
            key=lambda export: (
                export.failed,
                export.created_at is None or export.created_at < since,
                export.created_at or since,
                export.id,
            ),
            default=None,
        )

    @staticmethod
    def _moment(text: str) -> datetime:
        moment = parse_timestamp_or_none(text)
        if moment is None:
            raise CreationUnknown("This task's record of its export cannot be read: clear the task's state.")
        return moment


def _whose(state: Mapping[str, Any] | None) -> tuple[object, ...]:
    return tuple((state or {}).get(name) for name in ("state", "owner", "export_id", "generation"))
