# SPDX-License-Identifier: Apache-2.0
"""Create, wait and store in separate tasks, with each mode of the sensor."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any

from airflow.sdk import DAG

from airflow_provider_connectif.operators.connectif import ConnectifCreateExportOperator
from airflow_provider_connectif.sensors.connectif import ConnectifExportSensor
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

LAKE = os.environ.get("CONNECTIF_LAKE", "file:///tmp/connectif-lake")
MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}

for name, arguments in MODES.items():
    with DAG(
        f"chain_{name}",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
        tags=["crashing"],
    ):
        create = ConnectifCreateExportOperator(task_id="create", export_type="contacts")
        wait = ConnectifExportSensor(task_id="wait", export_id=create.output, poke_interval=1, **arguments)
        ConnectifExportToObjectStorageOperator(
            task_id="store",
            export_id=wait.output,
            destination=LAKE + "/{{ dag.dag_id }}/{export_id}",
            file_format="csv.gz",
        )
