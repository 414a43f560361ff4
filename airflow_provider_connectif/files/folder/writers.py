# SPDX-License-Identifier: Apache-2.0
"""Task instances that write to a folder, described by ``dag_id``, ``run_id``, ``task_id`` and ``map_index``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_connectif.files.errors import FolderConflict


def run_key(writer: Mapping[str, Any]) -> str:
    """Return a short name for the writer's run, for the names of objects."""
    return _key(writer.get("dag_id"), writer.get("run_id"))


def task_key(writer: Mapping[str, Any]) -> str:
    """Return a short name for the writer within its run, for the names of objects."""
    return _key(writer.get("task_id"), writer.get("map_index"))


def in_same_run(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether these are two different task instances of the same run."""

    def run(writer: Mapping[str, Any]) -> tuple[Any, Any]:
        return writer.get("dag_id"), writer.get("run_id")

    def task(writer: Mapping[str, Any]) -> tuple[Any, Any]:
        return writer.get("task_id"), writer.get("map_index")

    return None not in run(one) and run(one) == run(other) and task(one) != task(other)


def conflict_with(other: Mapping[str, Any]) -> FolderConflict:
    """Return the error for a folder that another task instance of the same run uses."""
    index = other.get("map_index")
    mapped = f"[{index}]" if isinstance(index, int) and index >= 0 else ""
    return FolderConflict(
        f"Task {other.get('task_id', 'unknown')}{mapped} of the same run stores its export in this folder, and "
        "each would delete what the other stored. Give each its own folder: put {export_id}, or another field "
        "that differs between the exports, into `destination`."
    )


def _key(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]
