# SPDX-License-Identifier: Apache-2.0
"""A mapped task stores each export of the list: in its own folder, or by mistake all in the same one."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG

from airflow_provider_connectif.operators.connectif import ConnectifListExportsOperator
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

LAKE = os.environ.get("CONNECTIF_LAKE", "file:///tmp/connectif-lake")
FOLDER = os.environ.get("CONNECTIF_FOLDER", "file:///tmp/connectif-lake")
STORAGE_CONN_ID = os.environ.get("CONNECTIF_STORAGE_CONN_ID")

for dag_id, export_type, destination, storage_conn_id in (
    ("mapped_stores", "contacts", LAKE + "/stores/{export_id}", STORAGE_CONN_ID),
    ("mapped_into_one_prefix", "banner-stats", LAKE + "/one", STORAGE_CONN_ID),
    ("mapped_into_one_folder", "banner-stats", FOLDER + "/one", None),
):
    with DAG(
        dag_id,
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
        max_active_tasks=500,
        default_args={"retries": 3, "retry_delay": timedelta(seconds=5)},
    ):
        finished = ConnectifListExportsOperator(task_id="finished", export_type=export_type)
        ConnectifExportToObjectStorageOperator.partial(
            task_id="store", destination=destination, storage_conn_id=storage_conn_id
        ).expand(export_id=finished.output)
