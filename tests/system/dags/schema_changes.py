# SPDX-License-Identifier: Apache-2.0
"""Stores contacts, and three versions of them with a mapped task, in an order that differs from run to run."""

from __future__ import annotations

import os
from datetime import datetime, timezone

from airflow.sdk import DAG, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

VERSIONS = ["v4", "v5", "v6"]
STORE = {
    "export_type": "contacts",
    "destination": os.environ["CONNECTIF_LAKE"] + "/{export_id}",
    "on_schema_change": "{{ params.on_schema_change }}",
}

with DAG(
    "store_contacts",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 3, 1, tzinfo=timezone.utc),
    end_date=datetime(2026, 4, 1, tzinfo=timezone.utc),
    catchup=False,
    params={"on_schema_change": "warn"},
):

    @task
    def versions(dag_run=None) -> list[str]:
        first = sum(dag_run.run_id.encode()) % 3
        return VERSIONS[first:] + VERSIONS[:first]

    ConnectifExportToObjectStorageOperator(task_id="store", version="v2", **STORE)
    ConnectifExportToObjectStorageOperator.partial(task_id="each", **STORE).expand(version=versions())
