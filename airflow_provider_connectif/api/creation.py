# SPDX-License-Identifier: Apache-2.0
"""Creating exactly one export for one piece of work, even if processes die.

The intent (what is requested, and since when) is written to a record *before* the request is sent, and the export's
id after it::

    nothing ──write──> intent ──POST──> created (id) ──work ends──> done (id)
                         │  ▲
             an intent without an id: search the list for an export with the recorded parameters that was
             created since the recorded time. If there is one, adopt it. If there is none, and the grace period
             has passed, send the request (again).

Adopting is safe, because an export requested with the same parameters after that time has the same content. A request
whose outcome is unknown is not repeated before its export has been looked for during the grace period: a slow server
may create the export after the client has given up.

Two processes of the same piece of work can be alive at once. The record names its owner, the process that wrote it
last; any other process that sees this sends nothing and takes the export that the owner creates. A store that can only
read and write offers no atomic claim, so an owner waits a short time after writing, in case another process is writing
as well, and then checks that it still is the owner (Fischer's mutual exclusion). What remains is a process that is
delayed between such a read and its write for longer than that time.

``done`` is kept together with its generation, which shows whether the work was requested again (a task was cleared) or
is merely retried: so a retry after a success that was never reported finds its export, and a task that is cleared after
a success requests a new one. The same applies to a task that is cleared and now has arguments other than the recorded
ones: its author has corrected them. An attempt that resumes with an export records its own generation.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.api.errors import (
    ApiError,
    ConnectionProblem,
    CreationOutcomeUnknown,
    RateLimited,
    Refused,
    RequestRejected,
)
from airflow_provider_connectif.api.export_request import ExportRequest
from airflow_provider_connectif.api.lookup import ExportLookup, LookupPolicy
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.records import Generation, MemoryRecord, Record, SingleGeneration
from airflow_provider_connectif.api.timestamps import parse_timestamp_or_none

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient

log = logging.getLogger(__name__)

INTENT, CREATED, DONE = "intent", "created", "done"


def create_once(
    client: ConnectifClient,
    request: ExportRequest,
    record: Record,
    *,
    generation: Generation | None = None,
    lookup_policy: LookupPolicy | None = None,
    retry_timeout: float = 600.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Create an export, or find the one that this piece of work has already created.

    :param client: the client
    :param request: what to request, unless a request is already recorded
    :param record: the record of this piece of work
    :param generation: shows whether the work was requested again since an earlier attempt; ``None`` if it never is
    :param lookup_policy: how to look for an export
    :param retry_timeout: seconds during which to retry while the rate limit is reached or the API is unavailable
    :param clock: returns monotonic seconds
    :param sleep: sleeps for a number of seconds
    :return: the export's id
    :raises Refused: if the API does not accept the request
    :raises Unavailable: if the API is unavailable for longer than the retry timeout
    :raises CreationOutcomeUnknown: if no export was found after the maximum number of requests
    """
    creation = _Creation(client, record, lookup_policy or LookupPolicy(), retry_timeout, clock, sleep)
    return creation.run(request, generation or SingleGeneration())


def mark_done(record: Record, generation: Generation) -> None:
    """Record that the work has succeeded, so that another export is created only if it is requested again."""
    state = record.read()
    if state is not None and state.get("export_id"):
        record.write({**state, "state": DONE, "generation": generation.as_json()})


class _Creation:
    def __init__(
        self,
        client: ConnectifClient,
        record: Record,
        lookup_policy: LookupPolicy,
        retry_timeout: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._client = client
        self._record = record
        self._lookup_policy = lookup_policy
        self._retry_timeout = retry_timeout
        self._clock = clock
        self._sleep = sleep
        self._owner = secrets.token_hex(8)
        # No other process can write to this process's memory.
        self._settle_time = 0.0 if isinstance(record, MemoryRecord) else lookup_policy.settle_time
        # From recording that the request is sent, until giving up: it takes a timeout to connect, and one to wait.
        self._sending_time = self._settle_time + 2 * client.timeout

    def run(self, request: ExportRequest, generation: Generation) -> str:
        recorded = self._record.read()
        state = recorded
        if state is not None and generation.is_repetition_of(state.get("generation")):
            state = self._after_clearing(state, request)
        if state is not None and state.get("export_id"):
            if state.get("generation") != generation.as_json():
                # Otherwise a mere retry of this attempt would be taken for a clearing.
                self._record.write({**state, "generation": generation.as_json()})
            log.info("Resuming with export %s, which an earlier attempt created.", state["export_id"])
            return str(state["export_id"])
        if state is not None and state.get("state") == INTENT:
            log.info("An earlier attempt may have created an export before it died: looking for it.")
            # From now on it is ours: the earlier process, if it is still alive, sees that and sends nothing.
            state = recorded = {**state, "owner": self._owner, "generation": generation.as_json()}
            self._record.write(state)
            # The earlier process recorded until when it may wait for a response, if it sent the request.
            found = self._look_during_grace_period(state, parse_timestamp_or_none(state.get("gives_up")))
            if found is not None:
                return self._adopt(found, state)
        if state is None:
            state = self._write_intent(request, generation, recorded)
            if state is None:
                log.info("Another process of this task has started at the same time.")
                return self.run(request, generation)
        return self._send(state)

    @staticmethod
    def _after_clearing(state: dict[str, Any], request: ExportRequest) -> dict[str, Any] | None:
        """Return the state that still applies after the task was cleared; ``None`` requests a new export."""
        if state.get("state") == DONE:
            log.info("This task succeeded before and was cleared: requesting a new export.")
            return None
        if state.get("request") != request.body():
            log.info("This task was cleared, and its arguments have changed: requesting a new export.")
            return None
        return state

    def _write_intent(
        self, request: ExportRequest, generation: Generation, recorded: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        """Write the intent; return ``None`` if the record has changed meanwhile.

        Its timestamp is the API's. Similar exports that already exist are noted so that they are not adopted, as far
        as their timestamps do not show that they are older.
        """
        others = ExportLookup(self._client, request, self._lookup_policy).find_similar()
        if recorded is not None and recorded.get("export_id"):
            others.append(recorded["export_id"])
        state = {
            "state": INTENT,
            "owner": self._owner,
            "generation": generation.as_json(),
            "request": request.body(),
            "since": self._client.server_now().isoformat(),
            "others": others,
        }
        if _version(self._record.read()) != _version(recorded):
            return None
        self._record.write(state)
        return state

    def _send(self, state: dict[str, Any]) -> str:
        request = ExportRequest.from_body(state["request"])
        deadline = self._clock() + self._retry_timeout
        may_exist = "sent" in state
        sent = 0
        attempt = 0
        while True:
            attempt += 1
            try:
                export = self._send_if_ours(state, request)
            except (RateLimited, ConnectionProblem) as error:
                # Certainly nothing was created: the request may be sent again.
                delay = self._client.retry_delay(error, attempt)
                if self._clock() + delay > deadline:
                    raise
                log.info("%s Retrying in %.1f s.", error, delay)
                self._sleep(delay)
            except Refused as error:
                # Without the record, the next attempt uses the arguments as they have been corrected by then.
                if isinstance(error, RequestRejected) or not may_exist:
                    self._record.drop()
                raise
            except CreationOutcomeUnknown as error:
                may_exist = True
                sent += 1
                log.warning("%s Checking whether the export was created anyway.", error)
                found = self._look_during_grace_period(state, self._client.server_now())
                if found is not None:
                    return self._adopt(found, state)
                if sent >= self._lookup_policy.attempts:
                    raise CreationOutcomeUnknown(
                        f"Connectif did not create this export in {sent} attempts. {error}"
                    ) from None
                log.warning("The export did not appear: requesting it again.")
            else:
                if export is None:
                    return self._look_for_export_of_owner(state)
                log.info("Created export %s (%s).", export.id, request.export_type)
                self._record.write({**state, "state": CREATED, "export_id": export.id})
                return export.id

    def _send_if_ours(self, state: dict[str, Any], request: ExportRequest) -> Export | None:
        """Send the request; return ``None``, having sent nothing, if another process has taken over the work."""
        # Wait first, so that the recorded time is the time of sending, and the check of the owner is recent.
        self._client.wait_for_rate_limit()
        if not self._is_still_ours():
            return None
        now = self._client.server_now()
        gives_up = now + timedelta(seconds=self._sending_time)
        self._record.write({**state, "sent": now.isoformat(), "gives_up": gives_up.isoformat()})
        if self._settle_time:
            self._sleep(self._settle_time)
        if not self._is_still_ours():
            return None
        return self._client.post_export(request)

    def _is_still_ours(self) -> bool:
        state = self._record.read()
        return state is not None and state.get("owner") == self._owner and not state.get("export_id")

    def _look_for_export_of_owner(self, state: Mapping[str, Any]) -> str:
        log.warning("Another process has taken over this task: looking for the export that it creates.")
        export_id = self._recorded_id()
        if export_id is None:
            # It may first wait for the end of the grace period, because it assumes that we sent the request.
            wait = timedelta(seconds=2 * self._sending_time + self._lookup_policy.grace_period)
            found = self._look_during_grace_period(state, self._client.server_now() + wait)
            export_id = self._recorded_id() or (found.id if found is not None else None)
        if export_id is None:
            raise CreationOutcomeUnknown(
                "Another process of this task has taken it over, and has not created an export so far."
            )
        return export_id

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

    def _look_during_grace_period(self, state: Mapping[str, Any], gave_up_at: datetime | None) -> Export | None:
        """Look for the export, at least once, until the grace period has passed by the API's clock."""
        since = parse_timestamp_or_none(state["since"])
        if since is None:
            raise CreationOutcomeUnknown("This task's record of its export cannot be read: clear the task's state.")
        lookup = ExportLookup(self._client, ExportRequest.from_body(state["request"]), self._lookup_policy)
        deadline = self._clock() + self._retry_timeout
        attempt = 0
        while True:
            attempt += 1
            try:
                found = lookup.find(since, state.get("others", ()))
            except ApiError as error:
                if error.final or self._clock() > deadline:
                    raise
                self._sleep(self._client.retry_delay(error, attempt))
                continue
            if found is not None:
                return found
            grace_period = timedelta(seconds=self._lookup_policy.grace_period)
            if gave_up_at is None or self._client.server_now() > gave_up_at + grace_period:
                return None
            self._sleep(self._lookup_policy.interval)


def _version(state: Mapping[str, Any] | None) -> tuple[object, ...]:
    """Return the fields that show whether another process has changed the record."""
    return tuple((state or {}).get(name) for name in ("state", "owner", "export_id", "generation"))
