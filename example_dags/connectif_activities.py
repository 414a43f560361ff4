# SPDX-License-Identifier: Apache-2.0
"""Export yesterday's activities every day: create the export, wait for it without a worker slot, and store its files.

The schedule is a ``CronDataIntervalTimetable`` instead of ``"@daily"``, because in Airflow 3 a plain cron expression
has no data interval by default.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_provider_connectif.operators.connectif import ConnectifCreateExportOperator
from airflow_provider_connectif.sensors.connectif import ConnectifExportSensor
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

LAKE = os.environ.get("CONNECTIF_LAKE", "file:///tmp/connectif-lake")
STORAGE_CONN_ID = os.environ.get("CONNECTIF_STORAGE_CONN_ID")
POKE_INTERVAL = float(os.environ.get("CONNECTIF_POKE_INTERVAL", "60"))

with DAG(
    "connectif_activities",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    default_args={"retries": 2},
    doc_md=__doc__,
    tags=["connectif"],
):
    create = ConnectifCreateExportOperator(
        task_id="create",
        export_type="activities",
        activity_types=["purchase"],
        from_date="{{ data_interval_start.isoformat() }}",
        to_date="{{ data_interval_end.isoformat() }}",
    )
    wait = ConnectifExportSensor(
        task_id="wait", export_id=create.output, deferrable=True, poke_interval=POKE_INTERVAL, timeout=6 * 3600
    )
    store = ConnectifExportToObjectStorageOperator(
        task_id="store",
        export_id=wait.output,
        destination=LAKE + "/connectif/activities/{from_date:%Y-%m-%d}",
        storage_conn_id=STORAGE_CONN_ID,
    )
