# SPDX-License-Identifier: Apache-2.0
"""Somebody presses Export in the Connectif application, and this DAG stores the file.

A trigger in the triggerer watches for exports that finish, and each is an asset event. One run may get several events,
and after a kill an export may be announced twice: the folder is named by the export, so it is stored once all the same.
A run that an asset starts has no ``ds`` and no data interval.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_connectif.events import triggering_export_ids
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator
from airflow_provider_connectif.triggers.connectif import ConnectifExportFinishedEventTrigger

LAKE = os.environ.get("CONNECTIF_LAKE", "file:///tmp/connectif-lake")
STORAGE_CONN_ID = os.environ.get("CONNECTIF_STORAGE_CONN_ID")

finished = Asset(
    "connectif_export_finished",
    watchers=[
        AssetWatcher(
            name="connectif",
            trigger=ConnectifExportFinishedEventTrigger(
                "connectif_default",
                origin="app",
                consumer="connectif_export_finished",
                poke_interval=10,
            ),
        )
    ],
)

with DAG(
    "connectif_on_export_finished",
    schedule=[finished],
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    # An export that is announced twice may be in two runs: one after the other, the second finds it stored.
    max_active_runs=1,
    default_args={"retries": 2},
    doc_md=__doc__,
    tags=["connectif"],
):

    @task(inlets=[finished])
    def export_ids(triggering_asset_events: Any = None, inlet_events: Any = None) -> list[str]:
        """Give the ids of the exports that this run is for."""
        return triggering_export_ids(triggering_asset_events, inlet_events)

    ConnectifExportToObjectStorageOperator.partial(
        task_id="store",
        destination=LAKE + "/connectif/on-export/{export_type}/{export_id}",
        storage_conn_id=STORAGE_CONN_ID,
    ).expand(export_id=export_ids())
