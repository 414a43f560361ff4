# SPDX-License-Identifier: Apache-2.0
"""Export Data Explorer reports every Monday: one for the current month to date, and one for the previous month.

The current month ends yesterday, because today is not over yet, and its files are replaced every week. The previous
month is exported until a run has succeeded after its end; from then on its files do not change.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, task

from airflow_provider_connectif.operators.connectif import ConnectifCreateExportOperator
from airflow_provider_connectif.sensors.connectif import ConnectifExportSensor
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

LAKE = os.environ.get("CONNECTIF_LAKE", "file:///tmp/connectif-lake")
STORAGE_CONN_ID = os.environ.get("CONNECTIF_STORAGE_CONN_ID")
POKE_INTERVAL = float(os.environ.get("CONNECTIF_POKE_INTERVAL", "60"))
REPORT_IDS = os.environ.get("CONNECTIF_REPORT_IDS", "60a1b2c3d4e5f60718293a4b,60a1b2c3d4e5f60718293a4c").split(",")

with DAG(
    "connectif_weekly_reports",
    schedule=CronDataIntervalTimetable("0 5 * * 1", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2},
    doc_md=__doc__,
    tags=["connectif"],
):

    @task
    def windows(data_interval_end: Any = None, prev_data_interval_end_success: Any = None) -> list[dict[str, str]]:
        yesterday = data_interval_end.subtract(days=1)
        month = yesterday.start_of("month")
        ranges = [(month, yesterday)]
        if not prev_data_interval_end_success or prev_data_interval_end_success.subtract(days=1) < month:
            ranges.append((month.subtract(months=1), month.subtract(days=1)))
        return [
            {"report_id": report_id, "from_date": first.to_date_string(), "to_date": last.to_date_string()}
            for report_id in REPORT_IDS
            for first, last in ranges
        ]

    create = ConnectifCreateExportOperator.partial(task_id="create", export_type="data-explorer").expand_kwargs(
        windows()
    )
    wait = ConnectifExportSensor(
        task_id="wait", export_id=create.output, deferrable=True, poke_interval=POKE_INTERVAL, timeout=24 * 3600
    )
    ConnectifExportToObjectStorageOperator.partial(
        task_id="store",
        destination=LAKE + "/connectif/weekly-reports/{report_id}/{from_date:%Y-%m}",
        storage_conn_id=STORAGE_CONN_ID,
    ).expand(export_id=wait.output)
