# SPDX-License-Identifier: Apache-2.0
"""The example ``connectif_activities`` in a real Airflow, deferrable, with a real S3 server."""

from __future__ import annotations

import csv
import gzip
import io
import json

import pytest
import requests

from scripts.local_airflow import wait_for
from tests.leaks import SECRETS, words_before_a_secret

DAG = "connectif_activities"


class Run:
    """A run of the example and its results."""

    def __init__(self, airflow, s3, sandbox):
        self.id = airflow.scheduled_run(DAG)
        self.state = airflow.wait_for_run(DAG, self.id)
        self.logs = {
            path.name: path.read_text() for path in airflow.home.glob("logs/dag_id=*/**/*.log") if path.is_file()
        }
        self.tasks = airflow.tasks(DAG, self.id)
        assert self.state == "success", (self.tasks, airflow.task_log(DAG, self.id, "store")[-3000:])
        self.result = airflow.xcom(DAG, self.id, "store")
        self.export_id = airflow.xcom(DAG, self.id, "create")
        self.folder = self.result["destination"].removeprefix("s3://lake/")
        self.objects = s3.objects(self.folder)


@pytest.fixture(scope="module")
def run(airflow, s3, sandbox):
    return Run(airflow, s3, sandbox)


def test_every_task_succeeds(run):
    assert run.tasks == {"create": "success", "wait": "success", "store": "success"}


def test_the_sensor_was_deferred(run, airflow):
    folder = airflow.home / "logs" / f"dag_id={DAG}" / f"run_id={run.id}" / "task_id=wait"
    assert list(folder.glob("attempt=1.log.trigger.*"))


def test_one_export_was_created_for_yesterday(run, sandbox):
    (created,) = [export for export in sandbox.stats.created if export["id"] == run.export_id]
    filters = created["body"]["filters"]
    assert filters["toDate"] > filters["fromDate"]
    assert len(sandbox.stats.created) == 1


def test_the_folder_contains_exactly_the_files_of_the_result_and_the_manifest(run):
    names = {file["path"].removeprefix("s3://lake/") for file in run.result["files"]}
    manifest = run.result["manifest"].removeprefix("s3://lake/")
    assert len(names) == 2  # the activities, and their products
    assert set(run.objects) == names | {manifest}
    assert {file["path"].removeprefix("s3://lake/"): file["bytes"] for file in run.result["files"]} == {
        name: size for name, size in run.objects.items() if name != manifest
    }


def test_the_files_contain_the_rows_of_the_export(run, s3):
    rows = {}
    for file in run.result["files"]:
        name = file["path"].removeprefix("s3://lake/")
        body = s3.read(name)
        text = (gzip.decompress(body) if name.endswith(".gz") else body).decode("utf-8-sig")
        head, *lines = list(csv.reader(io.StringIO(text, newline="")))
        assert all(len(line) == len(head) for line in lines)
        rows["products" if "-products" in name else "activities"] = len(lines)
    assert rows["activities"] == 500
    assert rows["products"] > 0


def test_the_manifest_names_the_export(run, s3):
    manifest = json.loads(s3.read(run.result["manifest"].removeprefix("s3://lake/")))
    assert manifest["export"]["id"] == run.export_id


@pytest.fixture(scope="module")
def lineage(run, airflow):
    """What the task ``store`` reported to OpenLineage at its end. It is reported after the task has succeeded."""

    def find():
        lines = (airflow.home / "openlineage.jsonl").read_text().splitlines()
        events = [event for event in map(json.loads, lines) if event["job"]["name"] == f"{DAG}.store"]
        return next((event for event in events if event["eventType"] == "COMPLETE"), None)

    return wait_for("the OpenLineage event of the task", find, 60)


def test_openlineage_gets_the_folder_and_its_size(run, lineage):
    [output] = lineage["outputs"]
    assert (output["namespace"], output["name"]) == ("s3://lake", run.folder)
    statistics = output["outputFacets"]["outputStatistics"]
    assert statistics["size"] == sum(file["bytes"] for file in run.result["files"])
    assert statistics["fileCount"] == len(run.result["files"])


def test_openlineage_gets_no_secret(lineage):
    assert words_before_a_secret(json.dumps(lineage)) is None


def test_neither_key_nor_signed_url_is_in_any_log_or_in_the_database(run, airflow, sandbox):
    """The database contains XComs, rendered fields, trigger arguments and task states."""
    url = requests.get(
        f"{sandbox.url}/exports/{run.export_id}",
        headers={"Authorization": f"apiKey {sandbox.key}"},
        timeout=10,
    ).json()["fileUrl"]
    assert SECRETS.search(url)
    assert SECRETS.search(sandbox.key)
    assert sandbox.stats.file_requests

    logs = dict(airflow.all_logs())
    assert any("task_id=store" in str(path) and run.export_id in text for path, text in logs.items())
    leaks = {str(path): words for path, text in logs.items() if (words := words_before_a_secret(text)) is not None}
    database = b"".join(path.read_bytes() for path in airflow.home.glob("airflow.db*")).decode("latin-1")
    assert run.export_id in database
    assert (leaks, words_before_a_secret(database)) == ({}, None)
