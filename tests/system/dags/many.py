# SPDX-License-Identifier: Apache-2.0
"""Many mapped tasks that create an export, wait deferred, and store it, all at once."""

from __future__ import annotations

import os
from datetime import datetime, timezone

from airflow.sdk import DAG, Param, task

from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

LAKE = os.environ.get("CONNECTIF_LAKE", "file:///tmp/connectif-lake")

with DAG(
    "many",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    params={"tasks": Param(200, type="integer")},
    max_active_tasks=500,
    tags=["many"],
):

    @task
    def segments(params: dict[str, int]) -> list[str]:
        """Return a segment id for each task."""
        return [f"{number:024x}" for number in range(params["tasks"])]

    ConnectifExportToObjectStorageOperator.partial(
        task_id="store",
        export_type="contacts",
        destination=LAKE + "/many/{export_id}",
        deferrable=True,
        poke_interval=2,
        timeout=1800,
    ).expand(segment_id=segments())
