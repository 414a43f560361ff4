# SPDX-License-Identifier: Apache-2.0
"""Store each export that is created in the Connectif application as soon as it is finished.

A trigger watches the list of exports and emits an asset event for each one that finishes. A run may receive several
events. If the triggerer is killed, an export may be announced twice; it is stored only once, because its folder is
named after it. A run that is started by an asset event has neither ``ds`` nor a data interval.
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
POKE_INTERVAL = float(os.environ.get("CONNECTIF_POKE_INTERVAL", "60"))

finished = Asset(
    "connectif_export_finished",
    watchers=[
        AssetWatcher(
            name="connectif",
            trigger=ConnectifExportFinishedEventTrigger(
                "connectif_default",
                origin="app",
                consumer="connectif_export_finished",
                poke_interval=POKE_INTERVAL,
            ),
        )
    ],
)

with DAG(
    "connectif_on_export_finished",
    schedule=[finished],
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    # If an export is announced in two runs, the second one runs later and finds it already stored.
    max_active_runs=1,
    default_args={"retries": 2},
    doc_md=__doc__,
    tags=["connectif"],
):

    @task(inlets=[finished])
    def export_ids(triggering_asset_events: Any = None, inlet_events: Any = None) -> list[str]:
        """Return the ids of the exports that triggered this run."""
        return triggering_export_ids(triggering_asset_events, inlet_events)

    ConnectifExportToObjectStorageOperator.partial(
        task_id="store",
        destination=LAKE + "/connectif/on-export/{export_type}/{export_id}",
        storage_conn_id=STORAGE_CONN_ID,
    ).expand(export_id=export_ids())
