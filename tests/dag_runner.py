# SPDX-License-Identifier: Apache-2.0
"""DAG files run by a real Airflow's ``dag.test()`` against the sandbox: many runs in one process.

Starting Airflow is what takes the time. Between two runs the output, the sandbox's counts and the lake are told apart.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

_BEGINNING = """
import functools, hashlib, json, pathlib, sys
from airflow.utils.db import initdb
from airflow.dag_processing.dagbag import DagBag
import pendulum, requests
from airflow_provider_connectif.api import creation

dags, sandbox = sys.argv[1:3]
initdb()

# No second process of a task is alive here that a creation would have to look out for, a second each.
creation.LookupPolicy = functools.partial(creation.LookupPolicy, settle=0.0)

dagbag = DagBag(dags)
print("IMPORT ERRORS", json.dumps(dagbag.import_errors), flush=True)
for dag in dagbag.dags.values():
    # Shorter pauses than for people; those of the DAGs are for real exports.
    for task in dag.tasks:
        kwargs = getattr(task, "partial_kwargs", {})
        if {"poke_interval", "destination"} & set(kwargs):
            kwargs["poke_interval"] = 0.2
        elif getattr(task, "poke_interval", None) is not None:
            task.poke_interval = 0.2
"""

_SCRIPT = """
lake, steps = pathlib.Path(sys.argv[3]), json.loads(sys.argv[4])
for step in steps:
    if "export" in step:
        requests.post(f"{sandbox}/_sandbox/exports", json=step["export"], timeout=10).raise_for_status()
        continue
    print("BEGIN", step["dag"], flush=True)
    run = dagbag.dags[step["dag"]].test(logical_date=pendulum.parse(step["at"]))
    states = {f"{ti.task_id}[{ti.map_index}]": str(ti.state) for ti in run.get_task_instances()}
    files = {
        str(path.relative_to(lake)): [path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()]
        for path in lake.rglob("*") if path.is_file()
    }
    stats = requests.get(f"{sandbox}/_sandbox/stats", timeout=10).json()
    end = {"name": step["dag"], "state": str(run.state), "tasks": states, "files": files, "stats": stats}
    print("END", json.dumps(end), flush=True)
"""


@dataclass(frozen=True)
class DagRunResult:
    """What came of one run.

    :param name: the DAG's id.
    :param tasks: states by ``task_id[map_index]``.
    :param files: what is in the lake after it, by path: when it was written, and its hash.
    :param stats: what the sandbox counted until then.
    :param output: what was written while it ran.
    """

    name: str
    state: str
    tasks: dict[str, str]
    files: dict[str, list[Any]]
    stats: dict[str, Any]
    output: str

    def requests_since(self, earlier: DagRunResult | None) -> Counter[str]:
        """The API's requests since another run, by route, and those for files as ``files``."""
        counts = [
            Counter({**run.stats["by_route"], "files": run.stats["file_requests"]}) if run else Counter()
            for run in (self, earlier)
        ]
        return Counter({name: count for name, count in (counts[0] - counts[1]).items() if "/files/" not in name})


@dataclass(frozen=True)
class DagRuns:
    """What came of all steps."""

    import_errors: dict[str, str]
    runs: list[DagRunResult]
    output: str


def run_dags(
    steps: Sequence[Mapping[str, Any]],
    *,
    home: Path,
    dags: Path,
    sandbox: Any,
    lake: Path,
    environment: Mapping[str, str],
) -> DagRuns:
    """Run DAGs one after the other.

    :param steps: ``{"dag": id, "at": logical date}``; or ``{"export": …}``, an export that somebody makes meanwhile.
    :param home: Airflow's own folder.
    :param dags: the DAG files' folder.
    :param sandbox: the running sandbox.
    :param lake: the folder that holds what is stored, whichever store leads there.
    :param environment: more variables, such as ``CONNECTIF_LAKE``.
    """
    result = run_script(
        _SCRIPT, str(lake), json.dumps(list(steps)), home=home, dags=dags, sandbox=sandbox, environment=environment
    )
    runs = [DagRunResult(**told, output=output) for told, output in result.parts]
    return DagRuns(result.import_errors, runs, result.output)


@dataclass(frozen=True)
class ScriptResult:
    """What a script wrote.

    :param import_errors: by DAG file.
    :param parts: of each run, what the script told of it, and what was written while it ran.
    """

    import_errors: dict[str, str]
    parts: list[tuple[dict[str, Any], str]]
    output: str


def run_script(
    script: str, *arguments: str, home: Path, dags: Path, sandbox: Any, environment: Mapping[str, str] | None = None
) -> ScriptResult:
    """Run a script in a process that has loaded the DAGs, as ``dagbag``, against the sandbox at ``sandbox``.

    :param script: it prints a line with ``BEGIN``, and what else it likes, before each run, and after it a line with
        ``END`` and a JSON object.
    :param arguments: the script's, in ``sys.argv`` from 3 on.
    """
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_CONN_CONNECTIF_DEFAULT": sandbox.connection_json,
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(home / "pycache"),
        **(environment or {}),
    }
    command = [sys.executable, "-c", _BEGINNING + script, str(dags), sandbox.url, *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    head, *parts = re.split(r"^BEGIN\b.*$", done.stdout, flags=re.MULTILINE)
    errors = next(line for line in head.splitlines() if line.startswith("IMPORT ERRORS"))
    told = []
    for part in parts:
        output, _, end = part.partition("\nEND ")
        told.append((json.loads(end.splitlines()[0]), output))
    return ScriptResult(json.loads(errors.removeprefix("IMPORT ERRORS")), told, done.stdout + done.stderr)
