# SPDX-License-Identifier: Apache-2.0
"""Store all contacts as Parquet every night, with types for the columns that are not text.

Nothing is guessed: a column that ``column_types`` does not declare is text, such as a phone number. ``version`` is set
so that the names of the columns stay the same. The extra ``parquet`` must be installed.
"""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

LAKE = os.environ.get("CONNECTIF_LAKE", "file:///tmp/connectif-lake")
STORAGE_CONN_ID = os.environ.get("CONNECTIF_STORAGE_CONN_ID")
POKE_INTERVAL = float(os.environ.get("CONNECTIF_POKE_INTERVAL", "60"))

with DAG(
    "connectif_contacts_parquet",
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="Europe/Madrid"),
    # In the time zone of the schedule: {created_at} in the destination is shown in it.
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Madrid"),
    catchup=False,
    default_args={"retries": 2},
    doc_md=__doc__,
    tags=["connectif"],
):
    ConnectifExportToObjectStorageOperator(
        task_id="contacts",
        export_type="contacts",
        version="v5",
        destination=LAKE + "/connectif/contacts-parquet/{created_at:%Y-%m-%d}",
        storage_conn_id=STORAGE_CONN_ID,
        file_format="parquet",
        column_types={
            "createdAt": "timestamp",
            "lastVisitAt": "timestamp",
            "points": "int64",
            "totalPurchases": "int64",
            "totalAmount": "decimal(18,2)",
        },
        deferrable=True,
        poke_interval=POKE_INTERVAL,
        timeout=24 * 3600,
    )
