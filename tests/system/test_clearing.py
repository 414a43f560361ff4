# SPDX-License-Identifier: Apache-2.0
"""Tasks are cleared in a real Airflow, with the same or fewer ``retries``, after a success and while at work."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from scripts.local_airflow import LocalAirflow, sandbox_connection, wait_for

# What depends on the attempt shows whether a retry compares its arguments: it must not.
DAG_FILE = """
from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, task

from airflow_provider_connectif.operators.connectif import ConnectifCreateExportOperator
from airflow_provider_connectif.sensors.connectif import ConnectifExportSensor
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator


class FirstAttemptFails(ConnectifCreateExportOperator):
    def execute(self, context):
        export_id = super().execute(context)
        if context["ti"].try_number == 1:
            raise RuntimeError("the success is not reported")
        return export_id


with DAG(
    {dag_id!r},
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    default_args={{"retries": {retries}, "retry_delay": timedelta(seconds={retry_delay})}},
):
    job = {job}

    @task
    def another():
        pass

    another()
"""
CREATE = "ConnectifCreateExportOperator(task_id='job', export_type='contacts', segment_id={dag_id!r})"
FAIL_ONCE = (
    "FirstAttemptFails(task_id='job', export_type='contacts', segment_id={dag_id!r} + '-{{{{ ti.try_number }}}}')"
)
STORE = (
    "ConnectifExportToObjectStorageOperator(task_id='job', export_type='contacts', segment_id={dag_id!r}, "
    "destination={destination!r}, deferrable={deferrable}, poke_interval=1)"
)
WAIT = (
    "ConnectifExportSensor(task_id='job', export_type='contacts', segment_id={dag_id!r}, deferrable=True, timeout=3600)"
)


@pytest.fixture(scope="module")
def vendor():
    with Sandbox(SandboxOptions(queue_seconds=0, seconds_per_export=3600, rows=5)).serve(port=0) as running:
        yield running


@pytest.fixture(scope="module")
def dags(tmp_path_factory):
    return tmp_path_factory.mktemp("dags")


@pytest.fixture(scope="module")
def local(tmp_path_factory, dags, vendor):
    airflow = LocalAirflow(
        tmp_path_factory.mktemp("clearing") / "airflow",
        dags=dags,
        connections={"connectif_default": sandbox_connection(vendor.url, vendor.key)},
        environment={"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3"},
    )
    with airflow:
        yield airflow


class Scenario:
    """A DAG of its own, with one run."""

    def __init__(self, local: LocalAirflow, vendor, dags: Path, dag_id: str, job: str, **details):
        self.local, self.vendor, self.dag_id, self._job, self._details = local, vendor, dag_id, job, details
        self._file = dags / f"{dag_id}.py"
        self.run_id = ""

    def write(self, retries: int, retry_delay: int = 1) -> None:
        job = self._job.format(dag_id=self.dag_id, **self._details)
        self._file.write_text(DAG_FILE.format(dag_id=self.dag_id, retries=retries, retry_delay=retry_delay, job=job))

    def start(self, retries: int, **details) -> None:
        self.write(retries, **details)
        self.run_id = self.local.trigger(self.dag_id)

    def change_retries(self, retries: int) -> None:
        self.write(retries)
        path = f"/api/v2/dags/{self.dag_id}/tasks/job"
        wait_for("the changed DAG", lambda: self.local.api("GET", path)["retries"] == retries or None, 90)

    def clear(self, task_id: str = "job") -> None:
        body = {"dry_run": False, "dag_run_id": self.run_id, "task_ids": [task_id], "only_failed": False}
        self.local.api(
            "POST", f"/api/v2/dags/{self.dag_id}/clearTaskInstances", json={**body, "run_on_latest_version": True}
        )

    def task(self, task_id: str = "job") -> dict:
        return self.local.api("GET", f"/api/v2/dags/{self.dag_id}/dagRuns/{self.run_id}/taskInstances/{task_id}")

    def wait_for_attempt(self, state: str, *, after: int = 0) -> dict:
        """Wait until an attempt has a state; on a busy machine, Airflow loses and repeats some.

        :param after: the number of the last attempt that does not count
        """

        def found():
            task = self.task()
            if task["state"] == "failed":
                pytest.fail(self.local.task_log(self.dag_id, self.run_id, "job")[-3000:])
            return task if task["try_number"] > after and task["state"] == state else None

        return wait_for(f"an attempt of {self.dag_id} to be {state}", found, 240)

    def created(self) -> list[str]:
        exports = self.vendor.stats.created
        return [each["id"] for each in exports if each["body"]["filters"]["segmentId"].startswith(self.dag_id)]

    def record(self, key: str) -> dict:
        path = f"/api/v2/dags/{self.dag_id}/dagRuns/{self.run_id}/taskInstances/job/state-store"
        entries = self.local.api("GET", path)["task_state_store"]
        return next((entry["value"] for entry in entries if entry["key"] == key), {})


@pytest.fixture
def scenario(local, vendor, dags):
    return lambda dag_id, job, **details: Scenario(local, vendor, dags, dag_id, job, **details)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(3, 0, id="max_tries becomes smaller"),
        pytest.param(1, 0, id="max_tries stays the same"),
        pytest.param(1, 1, id="max_tries becomes larger"),
    ],
)
def test_a_success_that_is_cleared_creates_a_new_export(scenario, before, after):
    success = scenario(f"success_{before}_{after}", CREATE)
    success.start(retries=before)
    first = success.wait_for_attempt("success")
    assert first["max_tries"] == before
    # While the scheduler still handles the end of the first attempt, Airflow may lose the next one.
    assert success.local.wait_for_run(success.dag_id, success.run_id, 240) == "success"
    if after != before:
        success.change_retries(after)
    success.clear()
    cleared = success.wait_for_attempt("success", after=first["try_number"])
    assert cleared["max_tries"] == first["try_number"] + after
    created = success.created()
    assert len(created) == 2
    assert success.local.xcom(success.dag_id, success.run_id, "job") == created[-1]


def test_a_retry_keeps_its_export_although_another_task_of_the_run_is_cleared(scenario):
    retry = scenario("retry", FAIL_ONCE)
    retry.start(retries=2, retry_delay=15)
    retry.wait_for_attempt("up_for_retry")
    wait_for("the other task", lambda: retry.task("another")["state"] == "success" or None, 60)
    retry.clear("another")
    assert retry.wait_for_attempt("success")["max_tries"] == 2
    [created] = retry.created()
    assert retry.local.xcom(retry.dag_id, retry.run_id, "job") == created


@pytest.mark.parametrize(("deferrable", "at_work"), [(True, "deferred"), (False, "running")])
def test_a_task_that_is_cleared_while_at_work_keeps_its_export_and_records_the_clearing(
    scenario, vendor, tmp_path, deferrable, at_work
):
    work = scenario(f"work_{at_work}", STORE, destination=f"file://{tmp_path}", deferrable=deferrable)
    work.start(retries=1)
    first = work.wait_for_attempt(at_work)
    wait_for("the export", lambda: work.created() or None, 60)
    wait_for("its record", lambda: work.record("connectif_export").get("export_id"), 60)
    before = work.record("connectif_export")["generation"]
    work.clear()
    cleared = work.wait_for_attempt(at_work, after=first["try_number"])
    assert cleared["max_tries"] == first["try_number"] + 1
    wait_for("the new record", lambda: work.record("connectif_export").get("generation") != before or None, 60)
    generation = work.record("connectif_export")["generation"]
    assert (generation["max_tries"], generation["clear_number"]) == (cleared["max_tries"], 1)
    assert generation["try_number"] > first["try_number"]
    [created] = work.created()
    vendor.end_export(created)
    work.wait_for_attempt("success")
    assert work.created() == [created]


def test_a_wait_that_is_cleared_has_a_new_deadline_although_max_tries_is_the_same(scenario):
    wait = scenario("deadline", WAIT)
    wait.start(retries=1)
    first = wait.wait_for_attempt("deferred")
    started = wait.record("connectif_wait")["started"]
    wait.change_retries(0)
    wait.clear()
    cleared = wait.wait_for_attempt("deferred", after=first["try_number"])
    assert cleared["max_tries"] == first["try_number"]
    assert wait.record("connectif_wait")["started"] > started
