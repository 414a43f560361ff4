# SPDX-License-Identifier: Apache-2.0
"""Run DAG files with ``dag.test()`` of a real Airflow, against the sandbox: many runs in one process.

Starting Airflow takes most of the time. Each run has its own output, request counts and list of stored files.
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
import functools, hashlib, json, pathlib, sys, warnings
from airflow.utils.db import initdb
from airflow.dag_processing.dagbag import DagBag
import pendulum, requests
from airflow_provider_connectif.api import creation

dags, sandbox = sys.argv[1:3]
initdb()

# No other process of a task is running, so a creation need not wait for one.
creation.LookupPolicy = functools.partial(creation.LookupPolicy, settle_time=0.0)

# Neither the package nor a DAG file may use what Python or Airflow deprecates.
for category in (DeprecationWarning, FutureWarning):
    warnings.filterwarnings("error", category=category, module="airflow_provider_connectif")

dagbag = DagBag(dags)
print("IMPORT ERRORS", json.dumps({**dagbag.import_errors, **dagbag.captured_warnings}), flush=True)
for dag in dagbag.dags.values():
    # The intervals in the DAGs are for real exports.
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
    """The outcome of one DAG run.

    :param name: the DAG's id
    :param tasks: states by ``task_id[map_index]``
    :param files: the time of modification and the hash of each stored file, by path
    :param stats: the sandbox's statistics after the run
    :param output: the output of the run
    """

    name: str
    state: str
    tasks: dict[str, str]
    files: dict[str, list[Any]]
    stats: dict[str, Any]
    output: str

    def requests_since(self, earlier: DagRunResult | None) -> Counter[str]:
        """Return the number of API requests since another run by route, and of file requests as ``files``."""
        counts = [
            Counter({**run.stats["by_route"], "files": run.stats["file_requests"]}) if run else Counter()
            for run in (self, earlier)
        ]
        return Counter({name: count for name, count in (counts[0] - counts[1]).items() if "/files/" not in name})


@dataclass(frozen=True)
class DagRuns:
    """The outcome of all steps."""

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

    :param steps: ``{"dag": id, "at": logical date}``, or ``{"export": …}`` for an export created in the application
    :param home: Airflow's home folder
    :param dags: the folder of the DAG files
    :param sandbox: the running sandbox
    :param lake: the folder of the stored files, whatever the store
    :param environment: more environment variables, such as ``CONNECTIF_LAKE``
    """
    result = run_script(
        _SCRIPT, str(lake), json.dumps(list(steps)), home=home, dags=dags, sandbox=sandbox, environment=environment
    )
    runs = [DagRunResult(**fields, output=output) for fields, output in result.parts]
    return DagRuns(result.import_errors, runs, result.output)


@dataclass(frozen=True)
class ScriptResult:
    """The outcome of a script.

    :param import_errors: import errors and warnings by DAG file
    :param parts: for each run, the object that the script printed, and the output of the run
    """

    import_errors: dict[str, str]
    parts: list[tuple[dict[str, Any], str]]
    output: str


def run_script(
    script: str, *arguments: str, home: Path, dags: Path, sandbox: Any, environment: Mapping[str, str] | None = None
) -> ScriptResult:
    """Run a script in a process with the variables ``dagbag`` (the loaded DAGs) and ``sandbox`` (the sandbox's URL).

    :param script: prints a line that begins with ``BEGIN`` before each run, and after it a line with ``END`` and a JSON
        object
    :param arguments: the script's arguments, in ``sys.argv[3:]``
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
    process = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=600)
    assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-3000:]
    head, *parts = re.split(r"^BEGIN\b.*$", process.stdout, flags=re.MULTILINE)
    errors = next(line for line in head.splitlines() if line.startswith("IMPORT ERRORS"))
    outcomes = []
    for part in parts:
        output, _, end = part.partition("\nEND ")
        outcomes.append((json.loads(end.splitlines()[0]), output))
    return ScriptResult(json.loads(errors.removeprefix("IMPORT ERRORS")), outcomes, process.stdout + process.stderr)
