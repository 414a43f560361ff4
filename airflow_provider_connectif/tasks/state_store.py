# SPDX-License-Identifier: Apache-2.0
"""What outlives a killed process (Airflow 3.3 and later): ``task_state_store`` for tasks, ``asset_state_store`` for
event triggers.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.api.records import MemoryRecord, Record
from airflow_provider_connectif.tasks.generation import TaskGeneration

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

EXPORT_KEY = "connectif_export"
WAIT_KEY = "connectif_wait"


class TaskStateRecord:
    """A record in the task state store.

    :param store: ``context["task_state_store"]``
    :param key: the record's key in the store
    """

    def __init__(self, store: Any, key: str) -> None:
        self._store = store
        self._key = key

    def read(self) -> dict[str, Any] | None:
        """Return what was last written, or None."""
        state = self._store.get(self._key)
        return state if isinstance(state, dict) else None

    def write(self, state: dict[str, Any]) -> None:
        """Replace what was last written."""
        self._store.set(self._key, state)

    def drop(self) -> None:
        """Delete what was last written."""
        self._store.delete(self._key)


def get_record(context: Context, key: str = EXPORT_KEY) -> Record:
    """Return a record of the task instance, which is in memory if Airflow has no task state store (before 3.3).

    :param context: the task's context
    :param key: the record's key
    """
    store = context.get("task_state_store")
    return MemoryRecord() if store is None else TaskStateRecord(store, key)


def get_creation_record(context: Context) -> Record:
    """Return the record of the export that this attempt may create, and log what is missing without a store.

    Call it once per attempt, so that the message is logged once.

    :param context: the task's context
    """
    record = get_record(context)
    if isinstance(record, MemoryRecord):
        log.info(
            "This Airflow has no task state store (3.3 and later have one): if an attempt is killed, the next attempt "
            "does not find the export that it created."
        )
    return record


def get_wait_deadline(context: Context, timeout: float, *, clock: Callable[[], float] = time.time) -> float:
    """Return the time at which the task's wait ends.

    It is set when the first attempt starts to wait, and again after the task was cleared.

    :param context: the task's context
    :param timeout: seconds
    :param clock: returns seconds since the epoch
    :return: seconds since the epoch
    """
    record = get_record(context, WAIT_KEY)
    generation = TaskGeneration.of(context)
    recorded = state = record.read()
    if state is None or generation.is_repetition_of(state.get("generation")):
        state = {"started": clock()}
    state = {**state, "generation": generation.as_json()}
    if state != recorded:
        record.write(state)
    return float(state["started"]) + timeout


class AssetCursorStore:
    """The cursor of an event trigger, in the state store of its asset.

    :param accessors: the trigger's ``asset_state_store``
    :param arguments: the trigger's arguments; two triggers of one asset have a cursor each
    """

    def __init__(self, accessors: Any, arguments: Mapping[str, Any]) -> None:
        self._accessors = accessors
        identity = json.dumps(arguments, sort_keys=True)
        self.key = "connectif_finished_" + hashlib.sha256(identity.encode()).hexdigest()[:16]

    async def read(self) -> Any:
        """Return what was last written, or None.

        :raises InvalidArgument: if several assets share the trigger
        """
        try:
            return await self._accessors.aget(self.key)
        except ValueError:
            raise _several_assets() from None

    async def write(self, value: Any) -> None:
        """Replace what was last written.

        :raises InvalidArgument: if several assets share the trigger
        """
        try:
            await self._accessors.aset(self.key, value)
        except ValueError:
            raise _several_assets() from None


def _several_assets() -> InvalidArgument:
    # Airflow runs triggers with equal arguments as one trigger, which then has a store for each of its assets.
    return InvalidArgument(
        "consumer",
        "several assets are watched by triggers with the same arguments, which Airflow runs as one trigger. Give each "
        "trigger a different name, such as consumer='reports' (for example the name of its asset).",
    )
