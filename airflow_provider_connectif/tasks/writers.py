# SPDX-License-Identifier: Apache-2.0
"""A task instance as the writer of a folder: how the manifest names it, and what Airflow knows of another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_connectif.files.folder.writers import AnnouncementCheck


def announcement_check(context: Context, log: Any) -> AnnouncementCheck:
    """Return a function that returns whether a writer, as a manifest records it, is a task instance that succeeded.

    Airflow creates the events of a task's outlets when it succeeds. If it is not known whether it did, the function
    returns False: an event may be repeated, but not lost.

    :param context: the context of the task that asks
    :param log: where it is logged that a state is not known
    """
    from airflow_provider_connectif.files.folder.writers import describe_writer

    def is_announced(writer: Mapping[str, Any]) -> bool:
        task_id, run_id, map_index = writer.get("task_id"), writer.get("run_id"), writer.get("map_index")
        if task_id is None or run_id is None:
            return False
        try:
            states = context["ti"].get_task_states(dag_id=writer["dag_id"], task_ids=[task_id], run_ids=[run_id])
        except Exception as error:
            log.info("It is not known whether %s succeeded: %s.", describe_writer(writer), type(error).__name__)
            return False
        mapped = isinstance(map_index, int) and map_index >= 0
        return (states.get(run_id) or {}).get(f"{task_id}_{map_index}" if mapped else task_id) == "success"

    return is_announced


def manifest_writer(context: Context) -> dict[str, Any]:
    """Return the task instance as the manifest records it."""
    task_instance = context["ti"]
    return {
        "dag_id": task_instance.dag_id,
        "run_id": task_instance.run_id,
        "task_id": task_instance.task_id,
        "map_index": task_instance.map_index if task_instance.map_index is not None else -1,
        # After a task was cleared, its map index may be that of another export before.
        "clear_number": getattr(context.get("dag_run"), "clear_number", None) or 0,
    }
