# SPDX-License-Identifier: Apache-2.0
"""Stores the export that the run's configuration names, and a DAG that its asset triggers."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset

from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

orders = Asset("orders")
START = datetime(2026, 1, 1, tzinfo=timezone.utc)

# On a busy machine, Airflow's scheduler fails tasks that the triggerer resumes before it has seen them deferred.
RETRIES = {"retries": 2, "retry_delay": timedelta(seconds=1)}

with DAG("store_orders", schedule=None, start_date=START, default_args=RETRIES):
    ConnectifExportToObjectStorageOperator(
        task_id="store",
        export_id="{{ dag_run.conf['export_id'] }}",
        destination=os.environ["CONNECTIF_LAKE"] + "/orders",
        file_format="csv.gz",
        outlets=[orders],
        skip_event_if_unchanged=True,
        deferrable=True,
        poke_interval=1,
    )

with DAG("load_orders", schedule=[orders], start_date=START):
    EmptyOperator(task_id="load")
