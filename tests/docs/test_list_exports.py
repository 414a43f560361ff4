# SPDX-License-Identifier: Apache-2.0
"""docs/guides/list-exports.md and migrate.md: the hand-written tasks run and store the same as the examples."""

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
from tests.docs.pages import ROOT, dag_blocks

MIGRATE = ROOT / "docs/guides/migrate.md"
PAIRS = {"connectif_mirror": "mirror_by_hand", "connectif_weekly_reports": "weekly_reports_by_hand"}


def dag_block(dag_id):
    (found,) = [block for block in dag_blocks() if block.dag_id == dag_id]
    return found


def count_lines(text):
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("#"))


def example(dag_id):
    """Return the code of an example, without its documentation."""
    text = (ROOT / "example_dags" / f"{dag_id}.py").read_text().replace("    doc_md=__doc__,\n", "")
    return text[text.index("from __future__") :]


def test_the_page_links_to_the_examples():
    text = (ROOT / "docs/guides/list-exports.md").read_text()
    assert [dag_id for dag_id in PAIRS if f"(../../example_dags/{dag_id}.py)" not in text] == []


def test_the_line_counts_are_right():
    rows = re.findall(r"^\| \[.*?\| (\d+) \| (\d+) \|$", MIGRATE.read_text(), re.MULTILINE)
    assert [(int(ours), int(by_hand)) for ours, by_hand in rows] == [
        (count_lines(example(ours)), count_lines(dag_block(by_hand).text)) for ours, by_hand in PAIRS.items()
    ]


@pytest.fixture
def sandbox(monkeypatch):
    with Sandbox(SandboxOptions(seconds_per_export=0, rows=5)).serve(port=0) as running:
        monkeypatch.setenv("AIRFLOW_CONN_CONNECTIF_DEFAULT", running.connection_json)
        yield running


@pytest.fixture
def by_hand(tmp_path):
    """Load a hand-written function from the page, which stores files below ``by-hand`` in the test's folder."""

    def load(dag_id, function):
        text = dag_block(dag_id).text
        assert 'LAKE = "file:///tmp/connectif-lake"' in text
        namespace = {"__name__": dag_id}
        exec(
            compile(text.replace("file:///tmp/connectif-lake", (tmp_path / "by-hand").as_uri()), dag_id, "exec"),
            namespace,
        )
        return namespace[function]

    return load


def read_files(folder: Path, exclude):
    """Return the files below a folder with their contents, except for those that only one side writes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != exclude
    }


def store(export_id, destination, index):
    operator = ConnectifExportToObjectStorageOperator(task_id="store", export_id=export_id, destination=destination)
    FakeTask(FakeTaskInstance(map_index=index), dag=FakeDag()).run(operator)


def test_the_hand_written_mirror_stores_the_same_files_as_the_operators(sandbox, by_hand, tmp_path):
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
    stored = read_files(ours, "_connectif_manifest.json")
    assert len(stored) == 2
    assert read_files(tmp_path / "by-hand/mirror-by-hand", "_SUCCESS") == stored
    requested = sandbox.stats.file_requests
    mirror(pendulum.datetime(2026, 11, 25))
    assert sandbox.stats.file_requests == requested


def test_the_hand_written_weekly_reports_are_the_same_as_those_of_the_operators(sandbox, by_hand, tmp_path):
    load = by_hand("weekly_reports_by_hand", "load_reports")
    monday = pendulum.datetime(2026, 11, 16, 5)
    load(monday, None)
    bodies = [each["body"] for each in sandbox.stats.created]
    assert len(bodies) == 4
    ours = tmp_path / "ours"
    for index, body in enumerate(bodies):
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
    assert [each["body"] for each in sandbox.stats.created[4:]] == bodies
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
