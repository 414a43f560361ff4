# SPDX-License-Identifier: Apache-2.0
"""Store an export that was created in the Connectif application.

The sensor waits for the newest export that matches its arguments, no matter who created it. With ``origin="app"`` it
ignores exports created through the API, such as those of other DAGs.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_provider_connectif.sensors.connectif import ConnectifExportSensor
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

LAKE = os.environ.get("CONNECTIF_LAKE", "file:///tmp/connectif-lake")
STORAGE_CONN_ID = os.environ.get("CONNECTIF_STORAGE_CONN_ID")

with DAG(
    "connectif_made_in_application",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    default_args={"retries": 2},
    doc_md=__doc__,
    tags=["connectif"],
):
    wait = ConnectifExportSensor(
        task_id="wait",
        export_type="contacts",
        origin="app",
        created_after="{{ data_interval_start.isoformat() }}",
        deferrable=True,
        poke_interval=5,
        timeout=24 * 3600,
    )
    ConnectifExportToObjectStorageOperator(
        task_id="store",
        export_id=wait.output,
        destination=LAKE + "/connectif/from-application/{created_at:%Y-%m-%d}/{file_name}",
        storage_conn_id=STORAGE_CONN_ID,
    )
