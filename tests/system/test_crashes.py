# SPDX-License-Identifier: Apache-2.0
"""Whichever process dies, there is one export and a complete folder, and a wait ends at its timeout.

The processes are killed (``SIGKILL``) in a real Airflow, at points that ``dags/crashing.py`` implements.
"""

from __future__ import annotations

import json
import time
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from scripts.local_airflow import LocalAirflow, sandbox_connection, wait_for
from scripts.triggerer import Triggerer
from tests.leaks import words_before_a_secret

CRASH_POINTS = (
    "before intent is recorded",
    "after intent is recorded",
    "the response to POST is lost",
    "before created is recorded",
    "after created is recorded",
    "during the download",
    "between the publications",
    "before the manifest",
    "after the manifest",
    "before done is recorded",
    "after done is recorded",
)
JOBS = {
    **{("crashing_deferrable", point): "" for point in CRASH_POINTS},
    ("crashing_sync", "while waiting"): "",
    ("crashing_sync", "after sending is recorded"): "",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("crashes")


@pytest.fixture(scope="module")
def vendor():
    with Sandbox(SandboxOptions(queue_seconds=0.5, seconds_per_export=3, rows=2000)).serve(port=0) as running:
        yield running


@pytest.fixture(scope="module")
def local(folder, vendor):
    airflow = LocalAirflow(
        folder / "airflow",
        dags=Path(__file__).parent / "dags",
        connections={"connectif_default": sandbox_connection(vendor.url, vendor.key)},
        environment={
            "CONNECTIF_LAKE": f"file://{folder / 'lake'}",
            "CRASH_MARKERS": str(folder / "markers"),
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        },
    )
    with airflow:
        yield airflow


@pytest.fixture(scope="module")
def runs(local):
    """The runs of all jobs, which are started together, each for a different day."""
    started = {}
    # While they are still paused: to create runs while others run makes SQLite's writers wait for each other.
    for dag in {dag for dag, _ in JOBS}:
        local.unpause(dag)
        local.api("PATCH", f"/api/v2/dags/{dag}", json={"is_paused": True})
    for number, (dag, point) in enumerate(JOBS):
        day = (date(2026, 9, 1) + timedelta(days=number)).isoformat()
        run = local.api(
            "POST",
            f"/api/v2/dags/{dag}/dagRuns",
            json={"logical_date": None, "conf": {"die": point, "day": day}},
        )
        started[dag, point] = (run["dag_run_id"], day)
    for dag in {dag for dag, _ in JOBS}:
        local.unpause(dag)
    for (dag, _), (run_id, _) in started.items():
        local.wait_for_run(dag, run_id, timeout=400)
    return started


@pytest.fixture(params=list(JOBS), ids=lambda job: f"{job[0]}, {job[1]}")
def job(request):
    return request.param


def created_for(vendor, day):
    return [export for export in vendor.stats.created if export["body"]["filters"]["fromDate"].startswith(day)]


def test_the_retry_of_a_killed_task_succeeds(job, runs, local, folder):
    dag, point = job
    run_id, _ = runs[job]
    assert (folder / "markers" / f"{run_id} {point}".replace("/", "_")).exists(), "it was not killed"
    (task,) = local.api("GET", f"/api/v2/dags/{dag}/dagRuns/{run_id}/taskInstances")["task_instances"]
    assert task["state"] == "success", local.task_log(dag, run_id, "job")[-3000:]
    assert task["try_number"] > 1


def test_a_killed_task_creates_one_export(job, runs, vendor):
    _, day = runs[job]
    assert len(created_for(vendor, day)) == 1


def test_a_killed_task_leaves_a_complete_folder_and_nothing_else(job, runs, vendor, folder):
    dag, _ = job
    _, day = runs[job]
    path = folder / "lake" / dag / day
    manifest = json.loads((path / "_connectif_manifest.json").read_text())
    assert manifest["export"]["id"] == created_for(vendor, day)[0]["id"]
    assert len(manifest["files"]) == 2
    for file in manifest["files"]:
        assert (path / file["path"]).stat().st_size == file["bytes"]
    listed = {file["path"] for file in manifest["files"]} | {"_connectif_manifest.json"}
    assert {entry.name for entry in path.iterdir()} == listed


def test_a_task_cleared_after_success_creates_another_export_and_replaces_the_files(runs, local, vendor, folder):
    dag, point = "crashing_deferrable", "after done is recorded"
    run_id, day = runs[dag, point]
    local.api(
        "POST",
        f"/api/v2/dags/{dag}/clearTaskInstances",
        json={"dry_run": False, "dag_run_id": run_id, "only_failed": False, "reset_dag_runs": True},
    )
    wait_for("the cleared task", lambda: len(created_for(vendor, day)) == 2 or None, 60)
    assert local.wait_for_run(dag, run_id) == "success"
    manifest = json.loads((folder / "lake" / dag / day / "_connectif_manifest.json").read_text())
    assert manifest["export"]["id"] == created_for(vendor, day)[-1]["id"]
    names = {path.name for path in (folder / "lake" / dag / day).iterdir()}
    assert names == {file["path"] for file in manifest["files"]} | {"_connectif_manifest.json"}


@pytest.fixture(scope="module")
def triggerer(local):
    with Triggerer(local) as triggerer:
        yield triggerer


def create_in_application(vendor, finished_in):
    finished_at = datetime.now(timezone.utc) + timedelta(seconds=finished_in)
    return vendor.create_in_app({"exportType": "contacts", "finishedAt": finished_at.isoformat()})


def wait_run(local, export_id):
    local.unpause("waiting")
    body = {"logical_date": None, "conf": {"export_id": export_id}}
    return local.api("POST", "/api/v2/dags/waiting/dagRuns", json=body)["dag_run_id"]


def task_of(local, run_id):
    return local.api("GET", f"/api/v2/dags/waiting/dagRuns/{run_id}/taskInstances")["task_instances"][0]


def deferred(local, run_id):
    wait_for("the deferral", lambda: task_of(local, run_id)["state"] == "deferred" or None, 60)
    return datetime.fromisoformat(task_of(local, run_id)["start_date"]).timestamp()


def test_a_deferred_task_survives_a_killed_triggerer_and_times_out_on_schedule(local, vendor, triggerer):
    finishing = wait_run(local, create_in_application(vendor, finished_in=25))
    hopeless = wait_run(local, create_in_application(vendor, finished_in=10_000))
    for run_id in (finishing, hopeless):
        began = deferred(local, run_id)
    triggerer.kill()
    time.sleep(2)
    triggerer.start()
    assert local.wait_for_run("waiting", finishing) == "success"
    assert local.wait_for_run("waiting", hopeless) == "failed"
    ended = datetime.fromisoformat(task_of(local, hopeless)["end_date"]).timestamp()
    # 40 s, one poll, and the time that Airflow takes to resume a deferred task.
    assert 40 <= ended - began <= 40 + 1 + 10
    assert task_of(local, hopeless)["try_number"] == 1
    assert "Timed out after 40 s" in local.task_log("waiting", hopeless, "wait")


def test_no_log_contains_the_key_or_a_signed_url(runs, local, vendor):
    for path, text in local.all_logs():
        assert not words_before_a_secret(text), path
