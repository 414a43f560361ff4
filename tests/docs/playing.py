# SPDX-License-Identifier: Apache-2.0
"""The DAGs of the pages, run by a real Airflow's ``dag.test()`` against the sandbox: all in one process."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.dag_runner import run_script
from tests.docs.pages import Block, blocks

SCRIPT = """
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session

control = sandbox + "/_sandbox"
for play in json.loads(sys.argv[3]):
    if play["fault"]:
        fault = dict(zip(("on", "kind"), play["fault"].split(":")))
        requests.post(control + "/faults", json=fault, timeout=10).raise_for_status()
    created = requests.get(control + "/stats", timeout=10).json()["created_by_api"]
    print("BEGIN", play["dag"], flush=True)
    run = dagbag.dags[play["dag"]].test(logical_date=pendulum.parse(play["date"]))
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
    played = run_script(
        SCRIPT, json.dumps([dataclasses.asdict(each) for each in plays]), home=home, dags=dags, sandbox=sandbox
    )
    assert not played.import_errors, played.import_errors
    return {each: Run(**told, output=output) for each, (told, output) in zip(plays, played.parts, strict=True)}
