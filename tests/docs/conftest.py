# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
import requests

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from tests.docs.page_dag_runner import PageRun, PageRuns, run_page_dags
from tests.docs.pages import dag_blocks


@pytest.fixture(scope="session")
def dag_bag(tmp_path_factory):
    """The DAGs of the pages, loaded from files as Airflow does."""
    from airflow.dag_processing.dagbag import DagBag

    folder = tmp_path_factory.mktemp("dags")
    for block in dag_blocks():
        (folder / block.file_name).write_text(block.text)
    return DagBag(str(folder))


# These runs are started by events: test_dag_runs.py tests the trigger, tests/system/test_export_finished.py all of it.
STARTED_BY_AN_ASSET = {block.dag_id for block in dag_blocks() if "AssetWatcher(" in block.text}
# test_snippets.py runs the first, test_list_exports.py the next two, tests/system/test_partitions.py the last.
RUN_ELSEWHERE = {"purchases", "mirror_by_hand", "weekly_reports_by_hand", "howto_asset_consumer", "purchases_by_month"}
PARTITIONED = "purchases_by_day"
DAY = "2026-03-29"  # has 23 hours in Madrid
DAGS = [
    block.dag_id for block in dag_blocks() if block.dag_id not in STARTED_BY_AN_ASSET | RUN_ELSEWHERE | {PARTITIONED}
]
BY_HAND = {"start": "2026-11-01T00:00:00+01:00", "end": "2026-11-08T00:00:00+01:00"}
LOST_RESPONSE = "create:create-then-cut"


@pytest.fixture(scope="session")
def page_runs(tmp_path_factory, postgres) -> PageRuns:
    """The results of all DAGs of the pages; some run again with another format or a fault."""
    texts = {block.file_name: block.text for block in dag_blocks()}
    [load_into_duckdb] = [block.text for block in dag_blocks() if block.dag_id == "load_into_duckdb"]
    texts["load_csv.py"] = (
        load_into_duckdb.replace("load_into_duckdb", "load_csv_into_duckdb")
        .replace("csv.gz", "csv")
        .replace("warehouse.duckdb", "warehouse-csv.duckdb")
        .replace("/activities/", "/activities-csv/")
    )
    runs = [
        *map(PageRun, DAGS),
        PageRun("load_csv_into_duckdb"),
        # In this order, because the DAG object keeps the params of its last run.
        PageRun("activities_by_hand", ""),
        PageRun("activities_by_hand", "", conf=json.dumps(BY_HAND)),
        PageRun(PARTITIONED, "", partition=DAY),
        PageRun(PARTITIONED, ""),
        *(PageRun(dag, "2026-11-23", LOST_RESPONSE) for dag in ("purchases_by_hand", "purchases_by_operator")),
    ]
    # Three windows are enough, and there is no need to wait as long as for real exports.
    changes = {
        'export_windows("2025-01-01", "2025-12-31")': 'export_windows("2025-01-01", "2025-03-31")',
        "time.sleep(30)": "time.sleep(0.2)",
        "poke_interval=5, deadline": "poke_interval=0.2, deadline",
    }
    for name, text in texts.items():
        for old, new in changes.items():
            text = text.replace(old, new)
        texts[name] = text
    with Sandbox(SandboxOptions(seconds_per_export=0.2, rows=200)).serve(port=0) as sandbox:
        made_in_application = {"exportType": "contacts", "createdAt": "2026-11-24T09:00:00Z", "count": 2}
        response = requests.post(f"{sandbox.url}/_sandbox/exports", json=made_in_application, timeout=10)
        response.raise_for_status()
        environment = {"AIRFLOW_CONN_WAREHOUSE": warehouse_connection(postgres)}
        return run_page_dags(texts, tmp_path_factory.mktemp("page-runs"), sandbox, runs, environment)


def warehouse_connection(postgres: dict[str, str]) -> str:
    """Return the Airflow connection of the test's Postgres, as JSON."""
    where = {"host": postgres["host"], "login": postgres["user"], "schema": postgres["dbname"]}
    return json.dumps({"conn_type": "postgres", **where})
