# SPDX-License-Identifier: Apache-2.0
"""The DAGs of the pages, run by a real Airflow's ``dag.test()`` against the sandbox: all in one process."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.docs.pages import ROOT, Block, blocks

SCRIPT = """
import functools, json, sys
import pendulum, requests
from airflow.dag_processing.dagbag import DagBag
from airflow.models.xcom import XComModel
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from airflow_provider_connectif.api import creation

folder, control, plays = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
initdb()
# No second process of a task is alive here that a creation would have to look out for, a second each.
creation.Grace = functools.partial(creation.Grace, settle=0.0)

bag = DagBag(folder)
assert not bag.import_errors, bag.import_errors
for dag in bag.dags.values():
    # Shorter pauses than for people.
    for task in dag.tasks:
        if "destination" in getattr(task, "partial_kwargs", {}):
            task.partial_kwargs["poke_interval"] = 0.2
        elif getattr(task, "poke_interval", None) is not None:
            task.poke_interval = 0.2
for number, play in enumerate(plays):
    if play["fault"]:
        fault = dict(zip(("on", "kind"), play["fault"].split(":")))
        requests.post(control + "/faults", json=fault, timeout=10).raise_for_status()
    created = requests.get(control + "/stats", timeout=10).json()["created_by_api"]
    print("BEGIN", number, flush=True)
    run = bag.dags[play["dag"]].test(logical_date=pendulum.parse(play["date"]))
    tasks = [(ti.task_id, ti.map_index, str(ti.state)) for ti in run.get_task_instances()]
    with create_session() as session:
        found = session.scalars(XComModel.get_many(run_id=run.run_id, dag_ids=play["dag"], key="return_value"))
        returned = {each.task_id: XComModel.deserialize_value(each) for each in found}
    created = requests.get(control + "/stats", timeout=10).json()["created_by_api"] - created
    told = {"state": str(run.state), "tasks": tasks, "returned": returned, "created": created}
    print("END", json.dumps(told), flush=True)
"""


@dataclasses.dataclass(frozen=True)
class Play:
    """A DAG to run.

    :param dag: its id.
    :param date: the run's logical date.
    :param fault: what the sandbox is to do wrong, as ``ON:KIND``; empty for nothing.
    """

    dag: str
    date: str = "2026-11-24"
    fault: str = ""


@dataclasses.dataclass(frozen=True)
class Run:
    """What came of a DAG.

    :param state: ``success`` or ``failed``.
    :param tasks: task, map index and state of each task instance.
    :param returned: what each task returned (of a mapped one, one instance's).
    :param created: how many exports were created meanwhile.
    :param output: all that was written meanwhile.
    """

    state: str
    tasks: list[list[Any]]
    returned: dict[str, Any]
    created: int
    output: str


def dag_blocks() -> list[Block]:
    """The pages' code blocks that make a DAG."""
    return [block for block in blocks("python") if block.is_dag]


def dag_id(block: Block) -> str:
    """The id of the DAG that a block makes."""
    return str(re.search(r'DAG\(\s*"(\w+)"', block.text)[1])  # type: ignore[index]


def moved(text: str, lake: Path) -> str:
    """Let a page's code store below ``lake``, whatever store it is written for; the rest stays word by word."""
    text = text.replace("file:///tmp/connectif-lake", lake.as_uri()).replace("/tmp/connectif-lake", str(lake))
    text = re.sub(r"\b(s3|gs|abfs)://lake", lake.as_uri(), text)
    return re.sub(r'storage_conn_id="\w+"', "storage_conn_id=None", text)


def play(texts: Mapping[str, str], folder: Path, sandbox: Any, plays: Sequence[Play]) -> dict[Play, Run]:
    """Run DAGs, one after the other.

    :param texts: their code, by file name.
    :param folder: for Airflow's home, the DAGs, and in ``lake`` for what they store.
    :param sandbox: the running sandbox.
    :param plays: what to run, in this order.
    """
    home, dags, lake = folder / "home", folder / "dags", folder / "lake"
    for path in (home, dags, lake):
        path.mkdir()
    for name, text in texts.items():
        (dags / name).write_text(moved(text, lake))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_CONN_CONNECTIF_DEFAULT": sandbox.connection_json,
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(folder / "pycache"),
    }
    told = json.dumps([dataclasses.asdict(each) for each in plays])
    command = [sys.executable, "-c", SCRIPT, str(dags), f"{sandbox.url}/_sandbox", told]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    parts = re.split(r"^BEGIN \d+$", done.stdout, flags=re.MULTILINE)[1:]
    runs = {}
    for each, part in zip(plays, parts, strict=True):
        output, _, end = part.partition("\nEND ")
        runs[each] = Run(**json.loads(end.splitlines()[0]), output=output)
    return runs
