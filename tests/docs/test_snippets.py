# SPDX-License-Identifier: Apache-2.0
"""Every Python snippet of the pages: DAGs are loaded as Airflow loads them, the rest is run against the sandbox."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from tests.docs.pages import ROOT, blocks

SNIPPETS = blocks("python")
DAGS = [block for block in SNIPPETS if block.is_dag]
OTHERS = [block for block in SNIPPETS if not block.is_dag]


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(SandboxOptions(seconds_per_export=0, seed=3)).serve(port=0) as running:
        yield running


@pytest.mark.parametrize("block", DAGS, ids=[block.name for block in DAGS])
def test_a_dag_of_the_pages_is_loaded_without_error(dag_bag, block):
    file = f"{block.page.stem}_{block.line}.py"
    assert [error for path, error in dag_bag.import_errors.items() if path.endswith(file)] == []
    assert [dag.dag_id for dag in dag_bag.dags.values() if dag.fileloc.endswith(file)] == re.findall(
        r'DAG\(\s*"(\w+)"', block.text
    )


def test_the_arguments_of_mapped_operators_are_checked_as_those_of_others(dag_bag):
    """Airflow makes a mapped operator only when it runs; here it is made with values that are not known yet."""
    from airflow.sdk.definitions.mappedoperator import MappedOperator

    mapped = [task for dag in dag_bag.dags.values() for task in dag.tasks if isinstance(task, MappedOperator)]
    for task in mapped:
        expanded = getattr(task.expand_input, "value", None)
        names = expanded if isinstance(expanded, dict) else ("from_date", "to_date")
        task.unmap(dict.fromkeys(names, "{{ not_known_yet }}"))
    assert len(mapped) >= 3


@pytest.mark.shows_secrets
@pytest.mark.parametrize("block", OTHERS, ids=[block.name for block in OTHERS])
def test_other_code_of_the_pages_runs(block, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_CONNECTIF_DEFAULT", sandbox.connection_json)
    monkeypatch.setenv("AIRFLOW_CONN_SANDBOX", "")
    exec(compile(block.text, block.name, "exec"), {"__name__": "snippet"})


RUN = """
import pendulum
from airflow.dag_processing.dagbag import DagBag

(dag,) = DagBag().dags.values()
print("STATE", dag.test(logical_date=pendulum.datetime(2026, 11, 24)).state)
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory, sandbox):
    """Where the README's first DAG stored, run by a real Airflow, word by word but for that place."""
    (block,) = [each for each in DAGS if each.page == ROOT / "README.md"]
    home, lake = tmp_path_factory.mktemp("airflow"), tmp_path_factory.mktemp("lake")
    (home / "dags").mkdir()
    assert "file:///tmp/connectif-lake/" in block.text
    (home / "dags" / "readme.py").write_text(block.text.replace("file:///tmp/connectif-lake/", lake.as_uri() + "/"))
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW_CONN_CONNECTIF_DEFAULT": sandbox.connection_json,
        "PYTHONPATH": str(ROOT),
    }
    airflow = str(Path(sys.executable).parent / "airflow")
    subprocess.run([airflow, "db", "migrate"], env=environment, check=True, capture_output=True)
    run = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True)
    assert "STATE success" in run.stdout, run.stdout[-4000:] + run.stderr[-4000:]
    return lake


@pytest.mark.system
def test_its_folder_holds_what_the_readme_shows(lake):
    (folder,) = lake.glob("*/*")
    assert str(folder.relative_to(lake)) == "purchases/2026-11-23"
    shown = re.search(r"```text\n(/tmp/connectif-lake/.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    assert shown.splitlines()[0] == "/tmp/connectif-lake/purchases/2026-11-23/"
    names = [line.split()[1] for line in shown.splitlines()[1:]]
    assert sorted(map(_without_id, names)) == sorted(_without_id(path.name) for path in folder.iterdir())


@pytest.mark.system
def test_its_manifest_has_the_fields_that_the_readme_shows(lake):
    (manifest,) = lake.glob("*/*/_connectif_manifest.json")
    shown = json.loads(next(block for block in blocks("json") if block.page == ROOT / "README.md").text)
    assert _shape(shown, json.loads(manifest.read_text())) == _shape(shown, shown)


def _without_id(name):
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", name)


def _shape(shown, found):
    """What is found, as far as it is shown; values that differ from run to run by their type alone."""
    if isinstance(shown, dict):
        return {name: _shape(value, found[name]) for name, value in shown.items()}
    if isinstance(shown, list):
        return [_shape(value, other) for value, other in zip(shown, found, strict=True)]
    changes = isinstance(shown, int) or re.search(r"[0-9a-f]{24}", str(shown)) or "export-activities-" in str(shown)
    return type(found).__name__ if changes else found
