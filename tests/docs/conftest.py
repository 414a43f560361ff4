# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import requests

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from tests.docs.pages import blocks
from tests.docs.playing import Play, Run, dag_blocks, dag_id, play


def _file_name(block):
    return f"{block.page.stem.replace('-', '_')}_{block.line}.py"


@pytest.fixture(scope="session")
def dag_bag(tmp_path_factory):
    """The DAGs that the pages' code blocks make, loaded from files as Airflow does it."""
    from airflow.dag_processing.dagbag import DagBag

    folder = tmp_path_factory.mktemp("dags")
    for block in blocks("python"):
        if block.is_dag:
            (folder / _file_name(block)).write_text(block.text)
    return DagBag(str(folder))


@dataclasses.dataclass(frozen=True)
class Played:
    """All runs of the pages' DAGs, and the folder that they stored in."""

    runs: dict[Play, Run]
    lake: Path

    def of(self, name: str, **more) -> Run:
        return self.runs[Play(name, **more)]


# Events start these: test_dag_runs.py tries the trigger, tests/system/test_export_finished.py all of it.
STARTED_BY_AN_ASSET = {dag_id(block) for block in dag_blocks() if "AssetWatcher(" in block.text}
LOST_ANSWER = "create:create-then-cut"
# test_snippets.py runs the README's own DAG, test_lists.py those of docs/lists.md.
PLAYED = [
    dag_id(block)
    for block in dag_blocks()
    if block.page.stem not in ("README", "lists") and dag_id(block) not in STARTED_BY_AN_ASSET
]


@pytest.fixture(scope="session")
def played(tmp_path_factory) -> Played:
    """Every DAG of the pages has run; some of them again, in another format or with a mishap."""
    folder = tmp_path_factory.mktemp("played")
    texts = {_file_name(block): block.text for block in dag_blocks()}
    [loading] = [text for name, text in texts.items() if name.startswith("loading_")]
    texts["loading_csv.py"] = (
        loading.replace("load_into_duckdb", "load_csv_into_duckdb")
        .replace("csv.gz", "csv")
        .replace("warehouse.duckdb", "warehouse-csv.duckdb")
        .replace("/activities/", "/activities-csv/")
    )
    plays = [
        *map(Play, PLAYED),
        Play("load_csv_into_duckdb"),
        *(Play(name, "2026-11-23", LOST_ANSWER) for name in ("purchases_by_hand", "purchases_by_operator")),
    ]
    with Sandbox(SandboxOptions(seconds_per_export=0.2, rows=200)).serve(port=0) as sandbox:
        a_person_made = {"exportType": "contacts", "createdAt": "2026-11-24T09:00:00Z", "count": 2}
        answer = requests.post(f"{sandbox.url}/_sandbox/exports", json=a_person_made, timeout=10)
        one, other = answer.json()["ids"]
        changes = {
            # Made up in the page: here, two that exist.
            "64f0c1e0a9d3b2c4e6f8a0b1": one,
            "64f0c1e0a9d3b2c4e6f8a0b2": other,
            # Three windows do, and pauses of half a minute need not be waited for.
            'export_windows("2025-01-01", "2025-12-31")': 'export_windows("2025-01-01", "2025-03-31")',
            "time.sleep(30)": "time.sleep(0.2)",
            "poke_interval=5, deadline": "poke_interval=0.2, deadline",
        }
        for name, text in texts.items():
            for old, new in changes.items():
                text = text.replace(old, new)
            texts[name] = text
        return Played(play(texts, folder, sandbox, plays), folder / "lake")
