# SPDX-License-Identifier: Apache-2.0
"""Every Python snippet of the pages: DAGs are loaded by Airflow, other code runs against the sandbox."""

from __future__ import annotations

import dataclasses
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
def test_dags_load_without_errors(dag_bag, block):
    name = block.file_name
    assert [error for path, error in dag_bag.import_errors.items() if path.endswith(name)] == []
    assert [dag.dag_id for dag in dag_bag.dags.values() if dag.fileloc.endswith(name)] == [block.dag_id]


def test_the_arguments_of_mapped_operators_are_valid(dag_bag):
    """Airflow creates a mapped operator only when it runs, so create it here with templates for the mapped values."""
    from airflow.sdk.definitions.mappedoperator import MappedOperator

    mapped = [task for dag in dag_bag.dags.values() for task in dag.tasks if isinstance(task, MappedOperator)]
    for task in mapped:
        expanded = getattr(task.expand_input, "value", None)
        if not isinstance(expanded, dict):  # the result of a task, which holds these
            expanded = {"from_date", "to_date"}
            if task.partial_kwargs.get("export_type") == "data-explorer":
                expanded |= {"report_id"} - set(task.partial_kwargs)
        task.unmap(dict.fromkeys(expanded, "{{ mapped_value }}"))
    assert len(mapped) >= 3


@pytest.mark.shows_secrets
@pytest.mark.parametrize("block", OTHERS, ids=[block.name for block in OTHERS])
def test_other_code_runs(block, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_CONNECTIF_DEFAULT", sandbox.connection_json)
    monkeypatch.setenv("AIRFLOW_CONN_SANDBOX", "")
    exec(compile(block.text, block.name, "exec"), {"__name__": "snippet"})


INSTALLATION = "pip install"
README = ROOT / "README.md"
MANIFEST_PAGE = ROOT / "docs/guides/store-export.md"


@dataclasses.dataclass(frozen=True)
class QuickStart:
    """The result of the quick start: the folder that it stored files in, and what it printed."""

    lake: Path
    output: str


@pytest.fixture(scope="module")
def quick_start(tmp_path_factory):
    """Run the quick start of the README in an empty folder, literally.

    Only the folder and the port differ, and the environment of the tests replaces the installation.
    """
    folder, lake = tmp_path_factory.mktemp("empty"), tmp_path_factory.mktemp("lake")
    port = free_port()
    changes = {"/tmp/connectif-lake/": f"{lake}/", "8787": str(port)}
    section = re.search(r"^## Start in five minutes$(.*?)^## ", README.read_text(), re.MULTILINE | re.DOTALL)[1]
    script = ["set -e", "trap 'kill %1 || true' EXIT"]
    for block in blocks("bash", "python", page=README):
        text = block.text
        if text not in section or INSTALLATION in text:
            continue
        for old, new in changes.items():
            text = text.replace(old, new)
        if block.is_dag:
            text = f"cat > airflow/dags/purchases.py <<'PYTHON'\n{text}PYTHON\n"
        script.append(text)
        if "sandbox --port" in text:
            script.append(f"until (: < /dev/tcp/127.0.0.1/{port}) 2> /dev/null; do sleep 0.2; done")
    # The quick start ends by stopping the sandbox.
    script.append(f"wait; (: < /dev/tcp/127.0.0.1/{port}) 2> /dev/null && exit 1; true")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], env=environment, capture_output=True, text=True, cwd=folder, timeout=300
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return QuickStart(lake, done.stdout)


@pytest.mark.system
def test_the_quick_start_stores_the_files_that_the_readme_shows(quick_start):
    [shown] = [block.text for block in blocks("text", page=README) if "/tmp/connectif-lake/" in block.text]
    shown = [line.split()[1].removeprefix("/tmp/connectif-lake/") for line in shown.splitlines()[:-1]]
    stored = [str(path.relative_to(quick_start.lake)) for path in quick_start.lake.rglob("*") if path.is_file()]
    assert sorted(map(_without_id, shown)) == sorted(map(_without_id, stored))
    for path in stored:
        assert re.search(rf"^ *\d+ {re.escape(str(quick_start.lake / path))}$", quick_start.output, re.MULTILINE)


@pytest.mark.system
def test_the_manifest_of_the_quick_start_has_the_fields_in_the_guide(quick_start):
    (manifest,) = quick_start.lake.glob("*/*/_connectif_manifest.json")
    [block] = blocks("json", page=MANIFEST_PAGE)
    shown = json.loads(block.text)
    assert _shape(shown, json.loads(manifest.read_text())) == _shape(shown, shown)


def _without_id(name):
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", name)


def _shape(shown, found):
    """Return the fields of ``found`` that are shown, with the type instead of values that differ between runs."""
    if isinstance(shown, dict):
        return {name: _shape(value, found[name]) for name, value in shown.items()}
    if isinstance(shown, list):
        # The guide shows only some of the columns' names.
        complete = not all(isinstance(value, str) for value in shown)
        return [_shape(value, other) for value, other in zip(shown, found, strict=complete)]
    differs = isinstance(shown, int) or re.search(r"[0-9a-f]{24}", str(shown)) or "export-activities-" in str(shown)
    return type(found).__name__ if differs else found
