# SPDX-License-Identifier: Apache-2.0
"""Export a year of activities. The DAG has no schedule: trigger it manually.

One export covers at most 31 days, so the year is split into twelve windows with one mapped task each. Only two of them
run at a time, which leaves room in the API's rate limit for other tasks.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator
from airflow_provider_connectif.windows import export_windows

LAKE = os.environ.get("CONNECTIF_LAKE", "file:///tmp/connectif-lake")
STORAGE_CONN_ID = os.environ.get("CONNECTIF_STORAGE_CONN_ID")
POKE_INTERVAL = float(os.environ.get("CONNECTIF_POKE_INTERVAL", "60"))

with DAG(
    "connectif_activities_backfill",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    default_args={"retries": 2},
    params={
        "start": Param("2025-01-01T00:00:00+00:00", type="string", format="date-time"),
        "end": Param("2026-01-01T00:00:00+00:00", type="string", format="date-time"),
    },
    doc_md=__doc__,
    tags=["connectif"],
):

    @task
    def windows(params: Any = None) -> list[dict[str, str]]:
        return export_windows(params["start"], params["end"])

    ConnectifExportToObjectStorageOperator.partial(
        task_id="activities",
        export_type="activities",
        destination=LAKE + "/connectif/activities-backfill/{from_date:%Y-%m-%d}",
        storage_conn_id=STORAGE_CONN_ID,
        file_format="csv.gz",
        deferrable=True,
        poke_interval=POKE_INTERVAL,
        timeout=6 * 3600,
        max_active_tis_per_dag=2,
    ).expand_kwargs(windows())
