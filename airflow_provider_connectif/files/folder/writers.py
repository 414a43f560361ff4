# SPDX-License-Identifier: Apache-2.0
"""Writers of a folder: task instances, described by ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.

``clear_number`` counts how often tasks of the run were cleared. Anything else that stores exports, such as the command
line, describes itself with other fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_connectif.files.errors import FolderConflict

#: Returns whether others know what a writer, as a manifest records it, has stored.
AnnouncementCheck = Callable[[Mapping[str, Any]], bool]

_IDENTITY = ("dag_id", "run_id", "task_id", "map_index")


def is_same_task(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether both are the same task instance, in any of its attempts."""
    identity = [one.get(name) for name in _IDENTITY]
    return None not in identity and identity == [other.get(name) for name in _IDENTITY]


def in_same_run(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether these are two different task instances of one run, which was not cleared in between.

    Clearing may give a task another map index. What another task instance stored before that may be replaced.
    """

    def run(writer: Mapping[str, Any]) -> list[Any]:
        return [writer.get("dag_id"), writer.get("run_id")]

    same_run = None not in run(one) and run(one) == run(other)
    same_clearing = (one.get("clear_number") or 0) == (other.get("clear_number") or 0)
    return same_run and same_clearing and not is_same_task(one, other)


def conflict_with(other: Mapping[str, Any]) -> FolderConflict:
    """Return the error for a folder that another task instance of the same run uses."""
    return FolderConflict(
        f"Task {describe_task(other)} of the same run stores its export in this folder, and "
        "each would delete what the other stored. Give each its own folder: put {export_id}, or another field "
        "that differs between the exports, into `destination`."
    )


def describe_task(writer: Mapping[str, Any]) -> str:
    """Return the task's id and, if it is mapped, its index."""
    index = writer.get("map_index")
    mapped = f"[{index}]" if isinstance(index, int) and index >= 0 else ""
    return f"{writer.get('task_id', 'unknown')}{mapped}"


def describe_writer(writer: Mapping[str, Any]) -> str:
    """Return words for a writer, for messages."""
    if writer.get("task_id") is None:
        return str(writer.get("command", "another program"))
    return f"task {describe_task(writer)} of DAG {writer.get('dag_id')} (run {writer.get('run_id')})"
