# SPDX-License-Identifier: Apache-2.0
"""Every export that finished in the last three days, whoever made it: each in its own folder, exactly once.

An hour that found nothing new costs a look at the list, and one more for each export that is stored already. After an
outage of up to three days nothing is missing.
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
