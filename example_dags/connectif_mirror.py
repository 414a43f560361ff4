# SPDX-License-Identifier: Apache-2.0
"""Store every export of the account, each in its own folder and exactly once.

Each hour, the DAG lists the exports that finished in the last three days, no matter who created them, and skips those
that are already stored. Even after an outage of three days no export is missing.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_provider_connectif.operators.connectif import ConnectifListExportsOperator
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

LAKE = os.environ.get("CONNECTIF_LAKE", "file:///tmp/connectif-lake")
STORAGE_CONN_ID = os.environ.get("CONNECTIF_STORAGE_CONN_ID")

with DAG(
    "connectif_mirror",
    schedule=CronDataIntervalTimetable("@hourly", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2},
    doc_md=__doc__,
    tags=["connectif"],
):
    finished = ConnectifListExportsOperator(
        task_id="finished",
        finished_after="{{ data_interval_end.subtract(days=3).isoformat() }}",
    )
    ConnectifExportToObjectStorageOperator.partial(
        task_id="store",
        destination=LAKE + "/connectif/mirror/{export_type}/{export_id}",
        storage_conn_id=STORAGE_CONN_ID,
    ).expand(export_id=finished.output)
