# SPDX-License-Identifier: Apache-2.0
"""An Airflow before 3.3, which has no task state store: everything works, and the log says what is missing.

``make matrix ROWS=lowest`` runs these tests, in an environment with the lowest supported versions.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from scripts.local_airflow import LocalAirflow, sandbox_connection, wait_for
from tests.leaks import words_before_a_secret

try:
    from airflow.sdk.execution_time.context import TaskStateStoreAccessor  # noqa: F401
except ImportError:
    HAS_STORE = False
else:
    HAS_STORE = True

pytestmark = pytest.mark.skipif(HAS_STORE, reason="this Airflow has a task state store: make matrix runs an older one")

LINE = "This Airflow has no task state store"
ONE_TASK = ("crashing_sync", "crashing_deferrable")
CHAINS = ("chain_poke", "chain_reschedule", "chain_deferrable")
DAYS = {dag: f"2026-09-0{number}" for number, dag in enumerate(ONE_TASK, 1)}
DAY_OF_THE_KILLED = "2026-09-09"
WATCHER = "connectif_on_export_finished"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("older")


@pytest.fixture(scope="module")
def vendor():
    with Sandbox(SandboxOptions(queue_seconds=0.5, seconds_per_export=4, rows=200)).serve(port=0) as running:
        yield running


@pytest.fixture(scope="module")
def local(folder, vendor):
    dags = folder / "dags"
    dags.mkdir()
    root = Path(__file__).parents[2]
    examples = (f"example_dags/{WATCHER}.py", "example_dags/connectif_activities_partitions.py")
    for path in ("tests/system/dags/crashing.py", "tests/system/dags/chain.py", *examples):
        (dags / Path(path).name).write_text((root / path).read_text())
    airflow = LocalAirflow(
        folder / "airflow",
        dags=dags,
        connections={"connectif_default": sandbox_connection(vendor.url, vendor.key)},
        environment={
            "CONNECTIF_LAKE": f"file://{folder / 'lake'}",
            "CRASH_MARKERS": str(folder / "markers"),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        },
    )
    with airflow:
        yield airflow


def start(local, dag, **conf):
    body = {"logical_date": None, "conf": conf}
    return local.api("POST", f"/api/v2/dags/{dag}/dagRuns", json=body)["dag_run_id"]


@pytest.fixture(scope="module")
def runs(local, folder):
    """All runs, which are started together, by DAG; that of the killed task as ``killed``."""
    dags = (*ONE_TASK, *CHAINS)
    # While they are still paused: to create runs while others run makes SQLite's writers wait for each other.
    for dag in dags:
        local.unpause(dag)
        local.api("PATCH", f"/api/v2/dags/{dag}", json={"is_paused": True})
    started = {dag: (dag, start(local, dag, die="", day=DAYS[dag])) for dag in ONE_TASK}
    started.update({dag: (dag, start(local, dag)) for dag in CHAINS})
    conf = {"die": "the response to POST is lost", "day": DAY_OF_THE_KILLED}
    started["killed"] = ("crashing_deferrable", start(local, "crashing_deferrable", **conf))
    for dag in dags:
        local.unpause(dag)
    for dag, run_id in started.values():
        local.wait_for_run(dag, run_id, timeout=400)
    return started


@pytest.fixture(scope="module")
def killed(runs, local):
    """The final state of the task that died while it created an export, and whether Airflow itself retried it."""
    dag, run_id = runs["killed"]
    path = f"/api/v2/dags/{dag}/dagRuns/{run_id}/taskInstances/job"
    retried = local.api("GET", path)["state"] != "failed"
    if not retried:
        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": True, "reset_dag_runs": True}
        local.api("POST", f"/api/v2/dags/{dag}/clearTaskInstances", json=body)
        wait_for("the cleared task", lambda: local.api("GET", path)["try_number"] == 2 or None, 60)
        local.wait_for_run(dag, run_id, timeout=400)
    return local.api("GET", path), retried


def complete_manifest(path):
    """Return the manifest of a folder, which must contain exactly the files that the manifest lists."""
    manifest = json.loads((path / "_connectif_manifest.json").read_text())
    assert manifest["files"]
    for file in manifest["files"]:
        assert (path / file["path"]).stat().st_size == file["bytes"]
    listed = {file["path"] for file in manifest["files"]} | {"_connectif_manifest.json"}
    assert {entry.name for entry in path.iterdir()} == listed
    return manifest


def created_for(vendor, day):
    return [
        export["id"] for export in vendor.stats.created if export["body"]["filters"].get("fromDate", "").startswith(day)
    ]


@pytest.mark.parametrize("dag", ONE_TASK)
def test_a_single_task_for_the_whole_job_succeeds_with_one_export(dag, runs, local, vendor, folder):
    _, run_id = runs[dag]
    assert local.tasks(dag, run_id) == {"job": "success"}, local.task_log(dag, run_id, "job")[-3000:]
    manifest = complete_manifest(folder / "lake" / dag / DAYS[dag])
    assert created_for(vendor, DAYS[dag]) == [manifest["export"]["id"]]


@pytest.mark.parametrize("dag", ONE_TASK)
def test_its_log_says_once_that_the_task_state_store_is_missing(dag, runs, local):
    _, run_id = runs[dag]
    assert local.task_log(dag, run_id, "job").count(LINE) == 1


def test_the_deferrable_task_was_deferred(runs, local):
    dag, run_id = runs["crashing_deferrable"]
    folder = local.home / "logs" / f"dag_id={dag}" / f"run_id={run_id}" / "task_id=job"
    assert list(folder.glob("attempt=1.log.trigger.*"))


@pytest.mark.parametrize("dag", CHAINS)
def test_separate_tasks_for_create_wait_and_store_succeed(dag, runs, local, folder):
    _, run_id = runs[dag]
    tasks = local.tasks(dag, run_id)
    assert tasks == {"create": "success", "wait": "success", "store": "success"}, local.task_log(dag, run_id, "wait")
    export_id = local.xcom(dag, run_id, "create")
    assert local.xcom(dag, run_id, "wait") == export_id
    assert complete_manifest(folder / "lake" / dag / export_id)["export"]["id"] == export_id


@pytest.mark.parametrize("dag", CHAINS)
def test_the_log_says_once_if_columns_cannot_be_compared_with_earlier_runs(dag, runs, local):
    _, run_id = runs[dag]
    log = local.task_log(dag, run_id, "store")
    shows_earlier_runs = Version(airflow_version) >= Version("3.1")
    assert log.count("so the columns were not compared") == (0 if shows_earlier_runs else 1)
    assert "The columns were not compared" not in log
    assert "cannot compare their columns" not in log


def test_a_task_that_dies_is_retried_only_by_airflow_3_1_and_later(killed):
    """Airflow 3.0 fails it whatever its retries (apache/airflow#55753), so that it has to be cleared manually."""
    _, retried = killed
    assert retried == (Version(airflow_version) >= Version("3.1"))


def test_a_kill_during_the_request_costs_a_second_export_and_the_next_try_succeeds(killed, local, vendor, folder):
    """As documented for an Airflow without the task state store, which exists to prevent this."""
    task, _ = killed
    log = local.task_log(task["dag_id"], task["dag_run_id"], "job")
    assert (task["state"], task["try_number"]) == ("success", 2), log[-3000:]
    _, second = created_for(vendor, DAY_OF_THE_KILLED)
    assert complete_manifest(folder / "lake" / task["dag_id"] / DAY_OF_THE_KILLED)["export"]["id"] == second


def test_each_try_of_a_killed_task_logs_the_line_once(killed, local):
    task, _ = killed
    folder = local.home / "logs" / f"dag_id={task['dag_id']}" / f"run_id={task['dag_run_id']}" / "task_id=job"
    counts = {path.name: path.read_text().count(LINE) for path in folder.glob("attempt=?.log")}
    assert counts == {"attempt=1.log": 1, "attempt=2.log": 1}


def test_an_export_created_in_the_application_is_announced_and_stored(runs, local, vendor, folder):
    local.unpause(WATCHER)
    # An export that finishes before the watcher's first request is not announced.
    before = vendor.stats.by_route.get("GET /exports", 0)
    wait_for("a request of the watcher", lambda: vendor.stats.by_route.get("GET /exports", 0) > before or None, 60)
    export_id = vendor.create_in_app({"exportType": "contacts"})
    path = folder / "lake" / "connectif" / "on-export" / "contacts" / export_id
    wait_for("the stored export", lambda: (path / "_connectif_manifest.json").exists() or None, 120)
    assert complete_manifest(path)["export"]["id"] == export_id


def test_the_example_with_partitions_defines_no_dag_and_has_no_import_error(runs, local):
    assert local.api("GET", "/api/v2/importErrors")["import_errors"] == []
    dags = {dag["dag_id"] for dag in local.api("GET", "/api/v2/dags", params={"limit": 100})["dags"]}
    assert WATCHER in dags
    assert {dag for dag in dags if dag.startswith("connectif_activities_by_")} == set()


def test_no_log_contains_the_key_or_a_signed_url(runs, local):
    for path, text in local.all_logs():
        assert not words_before_a_secret(text), path
