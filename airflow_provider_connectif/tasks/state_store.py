# SPDX-License-Identifier: Apache-2.0
"""A task instance's memory: Airflow's ``task_state_store``, which outlives a killed worker (Airflow 3.3 and later)."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.api.creation import MemoryRecord, Record

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

EXPORT_KEY = "connectif_export"
WAIT_KEY = "connectif_wait"


class TaskStateRecord:
    """A record in the task state store.

    :param store: ``context["task_state_store"]``.
    :param key: where in it.
    """

    def __init__(self, store: Any, key: str) -> None:
        self._store = store
        self._key = key

    def read(self) -> dict[str, Any] | None:
        """Give what was written last, None where nothing was."""
        state = self._store.get(self._key)
        return state if isinstance(state, dict) else None

    def write(self, state: dict[str, Any]) -> None:
        """Replace what was written."""
        self._store.set(self._key, state)

    def drop(self) -> None:
        """Forget it."""
        self._store.delete(self._key)


def get_record(context: Context, key: str = EXPORT_KEY) -> Record:
    """Give the task instance's record; one in memory where Airflow has no store (before 3.3).

    :param context: the task's context.
    :param key: which record.
    """
    store = context.get("task_state_store")
    return MemoryRecord() if store is None else TaskStateRecord(store, key)


def get_creation_record(context: Context) -> Record:
    """Give the record of the export that this try is about to ask for, and say what is missing without a store.

    Called once in a try, so the line comes once.

    :param context: the task's context.
    """
    record = get_record(context)
    if isinstance(record, MemoryRecord):
        log.info(
            "This Airflow has no task state store (3.3 and later have one): an export created by a try that is killed "
            "is not found again by the next try."
        )
    return record


def get_generation(context: Context) -> int:
    """A number that clearing the task raises, and a retry does not."""
    return int(getattr(context["ti"], "max_tries", 0) or 0)


def get_wait_deadline(context: Context, timeout: float) -> float:
    """The moment at which the task's waiting ends: fixed when its first try begins to wait, kept over its retries.

    :param context: the task's context.
    :param timeout: seconds.
    :return: epoch seconds.
    """
    record = get_record(context, WAIT_KEY)
    generation = get_generation(context)
    state = record.read()
    if state is None or int(state.get("generation", 0)) < generation:
        state = {"started": time.time(), "generation": generation}
        record.write(state)
    return float(state["started"]) + timeout
