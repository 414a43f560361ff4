# SPDX-License-Identifier: Apache-2.0
"""docs/lists.md: the examples are the files', the hand-written tasks run and store the same, the lines are counted."""

from __future__ import annotations

import re
from pathlib import Path

import pendulum
import pytest

from airflow_provider_connectif.operators.connectif import (
    ConnectifCreateExportOperator,
    ConnectifListExportsOperator,
)
from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator
from tests.airflow_harness import FakeDag, FakeTask, FakeTaskInstance, short_lookup_policy  # noqa: F401  fixture
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs/lists.md"
PAIRS = {"connectif_mirror": "mirror_by_hand", "connectif_weekly_reports": "weekly_reports_by_hand"}


def block(dag_id):
    (found,) = [each for each in blocks("python") if each.page == PAGE and f'DAG(\n    "{dag_id}"' in each.text]
    return found


def lines_of(text):
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("#"))


@pytest.mark.parametrize("name", PAIRS)
def test_the_examples_are_those_of_the_files(name):
    text = (ROOT / "example_dags" / f"{name}.py").read_text().replace("    doc_md=__doc__,\n", "")
    assert text.endswith(block(name).text)
    assert block(name).text.startswith("from __future__")


def test_the_lines_are_counted():
    rows = re.findall(r"^\| \[.*?\| (\d+) \| (\d+) \|$", PAGE.read_text(), re.MULTILINE)
    assert [(int(ours), int(by_hand)) for ours, by_hand in rows] == [
        (lines_of(block(ours).text), lines_of(block(by_hand).text)) for ours, by_hand in PAIRS.items()
    ]


@pytest.fixture
def sandbox(monkeypatch):
    with Sandbox(SandboxOptions(seconds_per_export=0, rows=5)).serve(port=0) as running:
        monkeypatch.setenv("AIRFLOW_CONN_CONNECTIF_DEFAULT", running.connection_json)
        yield running


@pytest.fixture
def by_hand(tmp_path):
    """Gives a hand-written function of the page, which stores below ``by-hand`` in the test's folder."""

    def load(dag_id, function):
        text = block(dag_id).text
        assert 'LAKE = "file:///tmp/connectif-lake"' in text
        namespace = {"__name__": dag_id}
        exec(
            compile(text.replace("file:///tmp/connectif-lake", (tmp_path / "by-hand").as_uri()), dag_id, "exec"),
            namespace,
        )
        return namespace[function]

    return load


def files(folder: Path, without):
    """Below a folder of that many parts: each file's name and content, but for what only one side writes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != without
    }


def store(export_id, destination, index):
    operator = ConnectifExportToObjectStorageOperator(task_id="store", export_id=export_id, destination=destination)
    FakeTask(FakeTaskInstance(map_index=index), dag=FakeDag()).run(operator)


def test_the_mirror_by_hand_stores_what_the_operators_store(sandbox, by_hand, tmp_path):
    bodies = [{"exportType": "contacts"}, {"exportType": "banner-stats"}, {"exportType": "contacts", "fail": True}]
    for body in bodies:
        sandbox.create_in_app({"createdAt": "2026-11-23T10:00:00Z", "finishedAt": "2026-11-23T11:00:00Z", **body})
    sandbox.create_in_app({"createdAt": "2026-11-20T10:00:00Z", "finishedAt": "2026-11-20T11:00:00Z"})
    mirror = by_hand("mirror_by_hand", "mirror")
    mirror(pendulum.datetime(2026, 11, 25))
    ours = tmp_path / "ours"
    listing = ConnectifListExportsOperator(task_id="finished", finished_after="2026-11-22T00:00:00Z")
    for index, export_id in enumerate(FakeTask().run(listing)):
        store(export_id, f"file://{ours}/{{export_type}}/{{export_id}}", index)
    stored = files(ours, "_connectif_manifest.json")
    assert len(stored) == 2
    assert files(tmp_path / "by-hand/mirror-by-hand", "_SUCCESS") == stored
    requested = sandbox.stats.file_requests
    mirror(pendulum.datetime(2026, 11, 25))
    assert sandbox.stats.file_requests == requested


def test_the_weekly_reports_by_hand_are_those_of_the_operators(sandbox, by_hand, tmp_path):
    load = by_hand("weekly_reports_by_hand", "load_reports")
    monday = pendulum.datetime(2026, 11, 16, 5)
    load(monday, None)
    asked = [each["body"] for each in sandbox.stats.created]
    assert len(asked) == 4
    ours = tmp_path / "ours"
    for index, body in enumerate(asked):
        filters = body["filters"]
        create = ConnectifCreateExportOperator(
            task_id="create",
            export_type="data-explorer",
            report_id=filters["reportId"],
            from_date=filters["fromDate"],
            to_date=filters["toDate"],
        )
        export_id = FakeTask(FakeTaskInstance(map_index=index)).run(create)
        store(export_id, f"file://{ours}/{{report_id}}/{{from_date:%Y-%m}}", index)
    assert [each["body"] for each in sandbox.stats.created[4:]] == asked
    folders = [
        sorted(str(path.parent.relative_to(root)) for path in root.rglob("*.csv"))
        for root in (tmp_path / "by-hand/weekly-by-hand", ours)
    ]
    assert folders[0] == folders[1]
    assert len(folders[0]) == 4
    load(monday.add(weeks=1), monday)
    again = sandbox.stats.created[8:]
    assert [each["body"]["filters"]["fromDate"] for each in again] == ["2026-11-01", "2026-11-01"]
    assert len(list((tmp_path / "by-hand").rglob("*.csv"))) == 4
