# SPDX-License-Identifier: Apache-2.0
"""Store the export that someone creates in the Connectif application every day.

The sensor waits for the newest export that matches its arguments, no matter who created it. With ``origin="app"`` it
ignores exports created through the API, such as those of other DAGs. Each run waits for an export that is created after
the run's data interval, that is after midnight, and gives up before the next run starts: so no run stores the export of
the day before again.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_provider_connectif.sensors.connectif import ConnectifExportSensor
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

LAKE = os.environ.get("CONNECTIF_LAKE", "file:///tmp/connectif-lake")
STORAGE_CONN_ID = os.environ.get("CONNECTIF_STORAGE_CONN_ID")
POKE_INTERVAL = float(os.environ.get("CONNECTIF_POKE_INTERVAL", "60"))

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
        created_after="{{ data_interval_end.isoformat() }}",
        deferrable=True,
        poke_interval=POKE_INTERVAL,
        timeout=23 * 3600,
    )
    ConnectifExportToObjectStorageOperator(
        task_id="store",
        export_id=wait.output,
        destination=LAKE + "/connectif/from-application/{created_at:%Y-%m-%d}/{file_name}",
        storage_conn_id=STORAGE_CONN_ID,
    )
