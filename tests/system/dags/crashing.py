# SPDX-License-Identifier: Apache-2.0
"""A single task for the whole job, whose process kills itself once, at the point that the run's ``conf`` names.

The task runs the package's own code in a real worker. There is also a DAG that only waits.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param

from airflow_provider_connectif.api.client import ConnectifClient
from airflow_provider_connectif.api.polling.wait import ExportWait
from airflow_provider_connectif.files.folder.held_folder import HeldFolder
from airflow_provider_connectif.files.stores import staged
from airflow_provider_connectif.sensors.connectif import ConnectifExportSensor
from airflow_provider_connectif.tasks.progress import ProgressLog
from airflow_provider_connectif.tasks.state_store import EXPORT_KEY, TaskStateRecord
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

LAKE = os.environ.get("CONNECTIF_LAKE", "file:///tmp/connectif-lake")
MARKERS = Path(os.environ.get("CRASH_MARKERS", "/tmp/crash-markers"))

here: dict[str, str] = {}


def remember(context: Any) -> None:
    """Remember the run and the point at which to die, and write down the process id, before the task executes."""
    task_instance = context["ti"]
    here.update(run=task_instance.run_id, point=context["params"].get("die", ""))
    pids = MARKERS / "pids"
    pids.mkdir(parents=True, exist_ok=True)
    (pids / str(os.getpid())).write_text(f"{task_instance.task_id}[{task_instance.map_index}]")


def die(point: str) -> None:
    if here.get("point") != point:
        return
    marker = MARKERS / f"{here['run']} {point}".replace("/", "_")
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def around(owner: Any, name: str, before: Callable[..., str] | str = "", after: Callable[..., str] | str = "") -> None:
    """Die before or after a function of the package, if that is the point."""
    original = getattr(owner, name)

    def point(which: Callable[..., str] | str, arguments: tuple[Any, ...]) -> str:
        return which(*arguments) if callable(which) else which

    @functools.wraps(original)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        die(point(before, arguments) or "never")
        result = original(*arguments, **named)
        die(point(after, arguments) or "never")
        return result

    setattr(owner, name, wrapped)


def writing(when: str) -> Callable[..., str]:
    """Return a function that names the point before or after a write of the record by its state."""

    def name(record: Any, state: dict[str, Any]) -> str:
        if record._key != EXPORT_KEY:
            return ""
        what = "sending" if state["state"] == "intent" and "sent" in state else state["state"]
        return f"{when} {what} is recorded"

    return name


def sent(client: Any, method: str, *_: Any) -> str:
    return "the response to POST is lost" if method == "POST" else ""


around(TaskStateRecord, "write", writing("before"), writing("after"))
around(ConnectifClient, "_send", after=sent)
around(ExportWait, "poll", after="while waiting")
around(ProgressLog, "__call__", after="during the download")
around(staged.Staged, "publish", after="between the publications")
around(HeldFolder, "_write_manifest", "before the manifest", "after the manifest")

for deferrable in (False, True):
    with DAG(
        f"crashing_{'deferrable' if deferrable else 'sync'}",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
        max_active_runs=32,
        params={"die": Param("", type="string"), "day": Param("2026-10-01", type="string")},
        default_args={"retries": 4, "retry_delay": timedelta(seconds=1)},
        tags=["crashing"],
    ):
        ConnectifExportToObjectStorageOperator(
            task_id="job",
            export_type="activities",
            from_date="{{ params.day }}T00:00:00+00:00",
            to_date="{{ params.day }}T12:00:00+00:00",
            destination=LAKE + "/{{ dag.dag_id }}/{{ params.day }}",
            deferrable=deferrable,
            poke_interval=1,
            timeout=300,
            pre_execute=remember,
        )

with DAG(
    "waiting",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    max_active_runs=32,
    params={"export_id": Param("0", type="string")},
    default_args={"retries": 2, "retry_delay": timedelta(seconds=1)},
    tags=["crashing"],
):
    ConnectifExportSensor(
        task_id="wait", export_id="{{ params.export_id }}", deferrable=True, poke_interval=1, timeout=40
    )
