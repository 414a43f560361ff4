# SPDX-License-Identifier: Apache-2.0
"""The example DAGs are imported, and run with a real Airflow's ``dag.test()`` against the sandbox."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import runpy
import shutil
import sys
import types
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import requests
from airflow.sdk import DAG

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from tests.dag_runner import ROOT, DagRuns, run_dags
from tests.leaks import words_before_a_secret

EXAMPLES = ROOT / "example_dags"
NAMES = sorted(path.stem for path in EXAMPLES.glob("connectif_*.py"))
# Their runs are started by asset events: see tests/system/test_export_finished.py and test_export_failed.py.
STARTED_BY_AN_ASSET = ("connectif_on_export_failed", "connectif_on_export_finished")
# These need several consecutive runs: see tests/test_example_lists.py.
CONSECUTIVE = ("connectif_mirror", "connectif_weekly_reports")
# `dag.test()` cannot run a partition: see tests/system/test_partitions.py.
PARTITIONED = "connectif_activities_partitions"
SINGLE = [name for name in NAMES if name not in (*STARTED_BY_AN_ASSET, PARTITIONED, *CONSECUTIVE)]


pytestmark = pytest.mark.system


class Examples:
    """The outcome of running the examples, and the folder in which they stored files."""

    def __init__(self, outcome: DagRuns, lake: Path, sandbox: Any) -> None:
        self.lake = lake
        self.output = outcome.output
        self.stats = sandbox.stats
        self.import_errors = outcome.import_errors
        self.runs = {run.name: run for run in outcome.runs}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow")


# A mapped operator is instantiated only when it runs, where Airflow would retry a plain ValueError.
MAPPED = """
from datetime import datetime, timezone
from airflow.sdk import DAG
from airflow_provider_connectif.operators.connectif import ConnectifCreateExportOperator

with DAG("mapped", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), default_args={"retries": 3}):
    ConnectifCreateExportOperator.partial(task_id="create", export_type="contacts").expand(version=["v5", "five"])
"""


@pytest.fixture(scope="module")
def examples(home: Path) -> Examples:
    """The outcome of running the examples and a DAG with a mistake."""
    folder = home / "dags"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "mapped.py").write_text(MAPPED)
    with Sandbox(SandboxOptions(seconds_per_export=0.3, rows=20)).serve(port=0) as sandbox:
        in_application = {"exportType": "contacts", "createdAt": "2026-11-23T09:00:00Z"}
        requests.post(f"{sandbox.url}/_sandbox/exports", json=in_application, timeout=10).raise_for_status()
        outcome = run_dags(
            [{"dag": name, "at": "2026-11-23"} for name in [*SINGLE, "mapped"]],
            home=home,
            dags=folder,
            sandbox=sandbox,
            lake=home / "lake",
            environment={"CONNECTIF_LAKE": f"file://{home}/lake"},
        )
        return Examples(outcome, home / "lake", sandbox)


def manifests(folder: Path) -> list[Path]:
    return sorted(folder.rglob("_connectif_manifest.json"))


def rows_of(file: Path) -> int:
    data = gzip.decompress(file.read_bytes()) if file.name.endswith(".gz") else file.read_bytes()
    return sum(1 for _ in csv.reader(io.StringIO(data.decode(), newline=""))) - 1


def test_there_are_eleven_examples():
    assert NAMES == [
        "connectif_activities",
        "connectif_activities_backfill",
        "connectif_activities_partitions",
        "connectif_contacts_parquet",
        "connectif_data_explorer",
        "connectif_made_in_application",
        "connectif_mirror",
        "connectif_on_export_failed",
        "connectif_on_export_finished",
        "connectif_segment_contacts",
        "connectif_weekly_reports",
    ]


def test_all_examples_are_imported_without_errors(examples):
    assert examples.import_errors == {}


@pytest.mark.parametrize("has_partitions", [True, False], ids=["Airflow 3.3", "before"])
def test_the_example_with_partitions_defines_no_dag_before_airflow_3_3(monkeypatch, has_partitions):
    import airflow.sdk

    class Sdk(types.ModuleType):
        def __getattr__(self, name):
            if name == "RollupMapper" and not has_partitions:
                raise AttributeError(name)
            return getattr(airflow.sdk, name)

    sdk, defined = Sdk("airflow.sdk"), []
    sdk.DAG = lambda dag_id, **options: defined.append(dag_id) or DAG(dag_id, **options)
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    runpy.run_path(str(EXAMPLES / f"{PARTITIONED}.py"))
    assert len(defined) == (3 if has_partitions else 0)


@pytest.mark.parametrize("name", SINGLE)
def test_each_example_succeeds(examples, name):
    run = examples.runs[name]
    assert run.state == "success", run.output[-3000:]
    assert set(run.tasks.values()) == {"success"}


def test_every_stored_file_matches_its_manifest(examples):
    import hashlib

    found = manifests(examples.lake)
    assert len(found) == 5 + 12
    for manifest in found:
        content = json.loads(manifest.read_text())
        for file in content["files"]:
            data = (manifest.parent / file["path"]).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
        listed = {file["path"] for file in content["files"]} | {manifest.name}
        assert {path.name for path in manifest.parent.iterdir()} == listed


def test_the_activities_are_those_of_yesterday_with_their_products(examples):
    [manifest] = manifests(examples.lake / "connectif" / "activities")
    export = json.loads(manifest.read_text())["export"]
    assert manifest.parent.name == export["filters"]["fromDate"][:10]
    assert export["filters"]["activityTypes"] == ["purchase"]
    begin, end = (datetime.fromisoformat(export["filters"][name][:19]) for name in ("fromDate", "toDate"))
    assert end - begin == timedelta(days=1)
    files = sorted(path for path in manifest.parent.iterdir() if path.suffix == ".csv")
    assert sorted(path.name.endswith("-products.csv") for path in files) == [False, True]
    assert [rows_of(path) for path in files if not path.name.endswith("-products.csv")] == [20]


def test_the_contacts_are_those_of_the_segment_in_a_fixed_version(examples):
    [manifest] = manifests(examples.lake / "connectif" / "contacts")
    export = json.loads(manifest.read_text())["export"]
    assert manifest.parent.parent.name == export["filters"]["segmentId"]
    assert export["version"] == "v5"
    [file] = manifest.parent.glob("*.csv.gz")
    assert rows_of(file) == 20


def test_the_contacts_in_parquet_have_the_declared_types(examples):
    [manifest] = manifests(examples.lake / "connectif" / "contacts-parquet")
    [file] = manifest.parent.glob("*.parquet")
    table = pq.read_table(file)
    types = {name: str(kind) for name, kind in zip(table.schema.names, table.schema.types, strict=True)}
    assert table.num_rows == 20
    assert types["totalAmount"] == "decimal128(18, 2)"
    assert types["createdAt"] == "timestamp[us, tz=UTC]"
    assert types["mobilePhone"] == "string"


def test_the_report_covers_one_day(examples):
    [manifest] = manifests(examples.lake / "connectif" / "reports")
    filters = json.loads(manifest.read_text())["export"]["filters"]
    assert filters["fromDate"] == filters["toDate"] == manifest.parent.name
    assert manifest.parent.parent.name == filters["reportId"]


def test_an_export_created_in_the_application_is_found(examples):
    [manifest] = manifests(examples.lake / "connectif" / "from-application")
    content = json.loads(manifest.read_text())
    assert content["export"]["origin"] == "app"
    assert manifest.parent.parent.name == "2026-11-23"
    assert manifest.parent.name == content["export"]["fileName"].removesuffix(".zip")


def test_the_backfill_consists_of_twelve_windows_without_gaps(examples):
    found = manifests(examples.lake / "connectif" / "activities-backfill")
    filters = [json.loads(manifest.read_text())["export"]["filters"] for manifest in found]
    edges = [(each["fromDate"], each["toDate"]) for each in filters]
    assert len(edges) == 12
    assert (edges[0][0], edges[-1][1]) == ("2025-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z")
    assert all(before[1] == after[0] for before, after in itertools.pairwise(edges))


def test_each_creating_task_created_one_export(examples):
    mapped = 1
    assert examples.stats.created_by_api == 1 + 12 + 1 + 1 + 1 + mapped


def test_no_secret_is_written_anywhere(examples, home):
    assert len(examples.output) > 10_000
    assert words_before_a_secret(examples.output) is None
    for path in home.rglob("*"):
        if path.is_file() and "pycache" not in path.parts:
            assert words_before_a_secret(path.read_bytes().decode(errors="replace")) is None, path


def test_an_invalid_argument_of_a_mapped_operator_fails_without_a_retry(examples):
    run = examples.runs["mapped"]
    assert run.tasks == {"create[0]": "success", "create[1]": "failed"}  # and not up_for_retry
    assert "version: 'five' is not a version; use 'v' and a number, such as 'v5'." in run.output
