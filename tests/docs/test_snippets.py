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
from scripts.local_airflow import free_port
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
    file = f"{block.page.stem.replace('-', '_')}_{block.line}.py"
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
        if not isinstance(expanded, dict):  # what a task returns, of which the page says what it holds
            expanded = {"from_date", "to_date"}
            if task.partial_kwargs.get("export_type") == "data-explorer":
                expanded |= {"report_id"} - set(task.partial_kwargs)
        task.unmap(dict.fromkeys(expanded, "{{ not_known_yet }}"))
    assert len(mapped) >= 3


@pytest.mark.shows_secrets
@pytest.mark.parametrize("block", OTHERS, ids=[block.name for block in OTHERS])
def test_other_code_of_the_pages_runs(block, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_CONNECTIF_DEFAULT", sandbox.connection_json)
    monkeypatch.setenv("AIRFLOW_CONN_SANDBOX", "")
    exec(compile(block.text, block.name, "exec"), {"__name__": "snippet"})


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Where the README's five minutes stored, done in an empty folder, word by word.

    But for the place, the sandbox's port, and the installing, which the tests' own environment stands in for.
    """
    folder, lake = tmp_path_factory.mktemp("empty"), tmp_path_factory.mktemp("lake")
    port = free_port()
    changes = {"file:///tmp/connectif-lake/": lake.as_uri() + "/", "8787": str(port)}
    page = ROOT / "README.md"
    section = re.search(r"^## Start in five minutes$(.*?)^## ", page.read_text(), re.MULTILINE | re.DOTALL)[1]
    script = ["set -e", "trap 'kill %1 || true' EXIT"]
    for block in blocks("bash", "python"):
        if block.page != page or block.text not in section:
            continue
        text = block.text
        for old, new in changes.items():
            text = text.replace(old, new)
        if block.is_dag:
            text = f"cat > airflow/dags/purchases.py <<'PYTHON'\n{text}PYTHON\n"
        script += [line for line in text.splitlines() if not line.startswith(("python3 -m venv", "pip install"))]
        if "sandbox --port" in text:
            script.append(f"until (: < /dev/tcp/127.0.0.1/{port}) 2> /dev/null; do sleep 0.2; done")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], env=environment, capture_output=True, text=True, cwd=folder, timeout=300
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
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
