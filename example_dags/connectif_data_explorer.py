# SPDX-License-Identifier: Apache-2.0
"""Export a Data Explorer report for yesterday every day.

Data Explorer takes dates in the account's time zone, and both of them are inclusive. ``{{ data_interval_start | ds }}``
is a date in UTC, so the schedule is in UTC as well, and late enough that the day is over in the account's time zone.
Do not use ``{{ ds }}``: it is the same date in a scheduled run, but today, which is not over yet, in a manual run.
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
REPORT_ID = os.environ.get("CONNECTIF_REPORT_ID", "60a1b2c3d4e5f60718293a4b")

with DAG(
    "connectif_data_explorer",
    schedule=CronDataIntervalTimetable("0 5 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    default_args={"retries": 2},
    doc_md=__doc__,
    tags=["connectif"],
):
    create = ConnectifCreateExportOperator(
        task_id="create",
        export_type="data-explorer",
        report_id=REPORT_ID,
        from_date="{{ data_interval_start | ds }}",
        to_date="{{ data_interval_start | ds }}",
    )
    wait = ConnectifExportSensor(
        task_id="wait", export_id=create.output, mode="reschedule", poke_interval=POKE_INTERVAL, timeout=6 * 3600
    )
    ConnectifExportToObjectStorageOperator(
        task_id="store",
        export_id=wait.output,
        destination=LAKE + "/connectif/reports/{report_id}/{from_date:%Y-%m-%d}",
        storage_conn_id=STORAGE_CONN_ID,
        if_exists="replace",
    )
