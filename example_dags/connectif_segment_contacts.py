# SPDX-License-Identifier: Apache-2.0
"""Export the contacts of a segment every Monday.

A single task creates the export, waits for it and stores its files. ``version`` is set so that the columns stay the
same when Connectif adds new ones.
"""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

LAKE = os.environ.get("CONNECTIF_LAKE", "file:///tmp/connectif-lake")
STORAGE_CONN_ID = os.environ.get("CONNECTIF_STORAGE_CONN_ID")
POKE_INTERVAL = float(os.environ.get("CONNECTIF_POKE_INTERVAL", "60"))
SEGMENT_ID = os.environ.get("CONNECTIF_SEGMENT_ID", "5f7c1e0a9d3b2c4e6f8a0b1c")

with DAG(
    "connectif_segment_contacts",
    schedule=CronDataIntervalTimetable("0 6 * * MON", timezone="Europe/Madrid"),
    # In the time zone of the schedule: {created_at} in the destination is shown in it.
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Madrid"),
    catchup=False,
    default_args={"retries": 2},
    doc_md=__doc__,
    tags=["connectif"],
):
    ConnectifExportToObjectStorageOperator(
        task_id="segment",
        export_type="contacts",
        segment_id=SEGMENT_ID,
        version="v5",
        destination=LAKE + "/connectif/contacts/{segment_id}/{created_at:%Y-%m-%d}",
        storage_conn_id=STORAGE_CONN_ID,
        file_format="csv.gz",
        deferrable=True,
        poke_interval=POKE_INTERVAL,
        timeout=24 * 3600,
    )
