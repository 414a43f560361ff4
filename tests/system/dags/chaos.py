# SPDX-License-Identifier: Apache-2.0
"""Many tasks for ``make chaos``, in which every step is slowed down so that a kill may occur during any of them."""

from __future__ import annotations

import os
import random
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_connectif.api.client import ConnectifClient
from airflow_provider_connectif.files.folder.held_folder import HeldFolder
from airflow_provider_connectif.files.stores import staged
from airflow_provider_connectif.tasks.progress import ProgressLog
from airflow_provider_connectif.tasks.state_store import TaskStateRecord
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

LAKE = os.environ.get("CONNECTIF_LAKE", "file:///tmp/connectif-lake")
PIDS = Path(os.environ.get("CHAOS_PIDS", "/tmp/chaos-pids"))


def slowed(owner: Any, name: str) -> None:
    original = getattr(owner, name)

    def slow(*arguments: Any, **named: Any) -> Any:
        time.sleep(0.3 * random.random())
        result = original(*arguments, **named)
        time.sleep(0.3 * random.random())
        return result

    setattr(owner, name, slow)


# Other processes import this file as well, but only workers call these functions.
slowed(TaskStateRecord, "write")
slowed(ConnectifClient, "_send")
slowed(ProgressLog, "__call__")
slowed(staged.Staged, "publish")
slowed(HeldFolder, "_write_manifest")


def show_pid(context: Any) -> None:
    PIDS.mkdir(parents=True, exist_ok=True)
    (PIDS / str(os.getpid())).touch()


with DAG(
    "chaos",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    max_active_runs=8,
    params={"tasks": Param(6, type="integer"), "first_day": Param("2026-01-01", type="string")},
    default_args={"retries": 99, "retry_delay": timedelta(seconds=1)},
    tags=["crashing"],
):

    @task
    def days(params: dict[str, Any]) -> list[str]:
        first = datetime.fromisoformat(params["first_day"])
        return [(first + timedelta(days=number)).date().isoformat() for number in range(params["tasks"])]

    for deferrable in (False, True):
        ConnectifExportToObjectStorageOperator.partial(
            task_id="deferrable" if deferrable else "sync",
            export_type="activities",
            activity_types=["purchase" if deferrable else "login"],
            destination=LAKE + "/{export_id}",
            deferrable=deferrable,
            poke_interval=1,
            pre_execute=show_pid,
        ).expand_kwargs(
            days().map(lambda day: {"from_date": f"{day}T00:00:00+00:00", "to_date": f"{day}T12:00:00+00:00"})
        )
