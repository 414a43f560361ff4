# SPDX-License-Identifier: Apache-2.0
"""Export activities by day, as partitions of an asset, and start a run for each month that is complete.

- ``connectif_activities_by_day`` exports yesterday. Backfills export other days, each once.
- ``connectif_activities_by_range`` exports up to 31 days at once, and announces each of them. Trigger it manually.
- ``connectif_activities_by_month`` runs once all days of a month are there, whichever of the two exported them.

A partitioned run has neither a data interval nor ``ds``; its dates come from ``partition_date``. Requires Airflow 3.3;
in older versions, this file defines no DAG.
"""

from __future__ import annotations

import os
from datetime import date, timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, Asset, Param, task

from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

LAKE = os.environ.get("CONNECTIF_LAKE", "file:///tmp/connectif-lake")
STORAGE_CONN_ID = os.environ.get("CONNECTIF_STORAGE_CONN_ID")
POKE_INTERVAL = float(os.environ.get("CONNECTIF_POKE_INTERVAL", "60"))
ZONE = "Europe/Madrid"
KEY_FORMAT = "%Y-%m-%d"
DAY = f"partition_date.in_timezone('{ZONE}')"
FIRST_DAY = pendulum.datetime(2026, 1, 1, tz=ZONE)

activities = Asset("connectif_activities_by_day")
options: dict[str, Any] = {
    "export_type": "activities",
    "storage_conn_id": STORAGE_CONN_ID,
    "deferrable": True,
    "poke_interval": POKE_INTERVAL,
    "timeout": 6 * 3600,
    "outlets": [activities],
}


def midnight(day: str, later: int = 0) -> str:
    """Return the beginning of a day, or of one some days later."""
    return pendulum.from_format(day, "YYYY-MM-DD", tz=ZONE).add(days=later).isoformat()


def announce_days(context: Any, result: Any) -> None:
    """Announce each day from ``first`` to ``last``, with the partition keys of the daily runs."""
    first, last = (date.fromisoformat(context["params"][name]) for name in ("first", "last"))
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    context["outlet_events"][activities].add_partitions([day.strftime(KEY_FORMAT) for day in days])


try:
    from airflow.sdk import (
        CronPartitionTimetable,
        MonthWindow,
        PartitionedAssetTimetable,
        PartitionedAtRuntime,
        RollupMapper,
        StartOfMonthMapper,
    )
except ImportError:
    pass
else:
    with DAG(
        "connectif_activities_by_day",
        # The run of a day is for the partition of the day before.
        schedule=CronPartitionTimetable("0 0 * * *", timezone=ZONE, run_offset=-1, key_format=KEY_FORMAT),
        start_date=FIRST_DAY,
        catchup=False,
        max_active_runs=4,
        default_args={"retries": 2},
        doc_md=__doc__,
        tags=["connectif"],
    ):
        ConnectifExportToObjectStorageOperator(
            task_id="store",
            from_date="{{ " + DAY + ".isoformat() }}",
            to_date="{{ " + DAY + ".add(days=1).isoformat() }}",
            destination=LAKE + "/connectif/activities-by-day/{from_date:%Y-%m-%d}",
            **options,
        )

    with DAG(
        "connectif_activities_by_range",
        schedule=PartitionedAtRuntime(),
        start_date=FIRST_DAY,
        default_args={"retries": 2},
        params={
            "first": Param("2026-03-01", type="string", format="date"),
            "last": Param("2026-03-31", type="string", format="date", description="at most 31 days in total"),
        },
        user_defined_macros={"midnight": midnight},
        doc_md=__doc__,
        tags=["connectif"],
    ):
        ConnectifExportToObjectStorageOperator(
            task_id="store",
            from_date="{{ midnight(params.first) }}",
            to_date="{{ midnight(params.last, 1) }}",
            destination=LAKE + "/connectif/activities-by-range/{from_date:%Y-%m-%d}",
            post_execute=announce_days,
            **options,
        )

    with DAG(
        "connectif_activities_by_month",
        schedule=PartitionedAssetTimetable(
            assets=activities,
            default_partition_mapper=RollupMapper(
                upstream_mapper=StartOfMonthMapper(timezone=ZONE, input_format=KEY_FORMAT), window=MonthWindow()
            ),
        ),
        start_date=FIRST_DAY,
        catchup=False,
        doc_md=__doc__,
        tags=["connectif"],
    ):

        @task
        def folders(triggering_asset_events: Any = None) -> list[str]:
            """Return the folders of the month, each once."""
            return sorted({event.extra["destination"] for event in triggering_asset_events[activities]})

        folders()
