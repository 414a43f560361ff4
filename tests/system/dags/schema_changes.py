# SPDX-License-Identifier: Apache-2.0
"""Stores contacts, and with mapped tasks three versions of them and three reports, in an order that differs by run."""

from __future__ import annotations

import os
from datetime import datetime, timezone

from airflow.sdk import DAG, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

VERSIONS = ["v4", "v5", "v6"]
REPORTS = ["5e8dcdcf5e0d0d0010d1a001", "5e8dcdcf5e0d0d0010d1a002", "5e8dcdcf5e0d0d0010d1a003"]
LAKE = os.environ["CONNECTIF_LAKE"]
CHECK = {"on_schema_change": "{{ params.on_schema_change }}"}
CONTACTS = {"export_type": "contacts", "destination": LAKE + "/{export_id}", **CHECK}

with DAG(
    "store_contacts",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 3, 1, tzinfo=timezone.utc),
    end_date=datetime(2026, 4, 1, tzinfo=timezone.utc),
    catchup=False,
    params={"on_schema_change": "warn"},
):

    @task
    def rotate(names: list[str], dag_run=None) -> list[str]:
        first = sum(dag_run.run_id.encode()) % 3
        return names[first:] + names[:first]

    ConnectifExportToObjectStorageOperator(task_id="store", version="v2", **CONTACTS)
    ConnectifExportToObjectStorageOperator.partial(task_id="each_version", **CONTACTS).expand(version=rotate(VERSIONS))
    ConnectifExportToObjectStorageOperator.partial(
        task_id="each_report",
        export_type="data-explorer",
        from_date="2026-03-01",
        to_date="2026-03-01",
        destination=LAKE + "/{report_id}/{export_id}",
        **CHECK,
    ).expand(report_id=rotate(REPORTS))
