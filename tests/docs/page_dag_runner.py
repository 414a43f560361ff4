# SPDX-License-Identifier: Apache-2.0
"""Run the DAGs of the pages with a real Airflow's ``dag.test()`` against the sandbox, all in one process."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.dag_runner import run_script

SCRIPT = """
from airflow.models.asset import AssetEvent
from airflow.models.xcom import XComModel
from airflow.serialization.definitions.dag import SerializedDAG
from sqlalchemy import select
from airflow.utils.session import create_session

create_dagrun = SerializedDAG.create_dagrun

def create_partitioned_dagrun(dag, **fields):
    # `dag.test()` has no argument for it.
    if key := run["partition"]:
        fields.update(partition_key=key, partition_date=dag.timetable.resolve_partition_date(key))
    return create_dagrun(dag, **fields)

SerializedDAG.create_dagrun = create_partitioned_dagrun

control = sandbox + "/_sandbox"
for run in json.loads(sys.argv[3]):
    if run["fault"]:
        fault = dict(zip(("on", "kind"), run["fault"].split(":")))
        requests.post(control + "/faults", json=fault, timeout=10).raise_for_status()
    created = requests.get(control + "/stats", timeout=10).json()["created_by_api"]
    print("BEGIN", run["dag"], flush=True)
    dag_run = dagbag.dags[run["dag"]].test(
        logical_date=pendulum.parse(run["date"]) if run["date"] else None, run_conf=json.loads(run["conf"])
    )
    tasks = [(ti.task_id, ti.map_index, str(ti.state)) for ti in dag_run.get_task_instances()]
    with create_session() as session:
        found = session.scalars(XComModel.get_many(run_id=dag_run.run_id, dag_ids=run["dag"], key="return_value"))
        returned = {each.task_id: XComModel.deserialize_value(each) for each in found}
        events, keys = {}, []
        for event in session.scalars(select(AssetEvent).where(AssetEvent.source_run_id == dag_run.run_id)):
            events.setdefault(event.asset.name, []).append(event.extra)
            keys.append(event.partition_key)
    created = requests.get(control + "/stats", timeout=10).json()["created_by_api"] - created
    result = {
        "state": str(dag_run.state), "tasks": tasks, "returned": returned, "created": created, "events": events,
        "partition_keys": keys,
    }
    print("END", json.dumps(result), flush=True)
"""


@dataclasses.dataclass(frozen=True)
class PageRun:
    """A run of a DAG.

    :param dag: the id of the DAG
    :param date: the logical date of the run; empty for none
    :param fault: a fault of the sandbox, as ``ON:KIND``; empty for none
    :param conf: the configuration of the run, as JSON
    :param partition: the partition key of the run; empty for none
    """

    dag: str
    date: str = "2026-11-24"
    fault: str = ""
    conf: str = "{}"
    partition: str = ""


@dataclasses.dataclass(frozen=True)
class PageRunResult:
    """The result of a run.

    :param state: ``success`` or ``failed``
    :param tasks: task id, map index and state of each task instance
    :param returned: the return value of each task; for a mapped task, that of one instance
    :param created: the number of exports created during the run
    :param events: the ``extra`` of each event by the asset's name
    :param partition_keys: the partition key of each event
    :param output: everything written during the run
    """

    state: str
    tasks: list[list[Any]]
    returned: dict[str, Any]
    created: int
    events: dict[str, list[Any]]
    partition_keys: list[str | None]
    output: str


@dataclasses.dataclass(frozen=True)
class PageRuns:
    """All runs of the pages' DAGs, and the folder that they stored files in."""

    results: dict[PageRun, PageRunResult]
    lake: Path

    def of(self, dag: str, **details: str) -> PageRunResult:
        return self.results[PageRun(dag, **details)]


def redirect_to(lake: Path, text: str) -> str:
    """Make the code of a page store files below ``lake`` instead of in its own store; leave the rest unchanged."""
    text = text.replace("file:///tmp/connectif-lake", lake.as_uri()).replace("/tmp/connectif-lake", str(lake))
    text = re.sub(r"\b(s3|gs|abfs)://lake", lake.as_uri(), text)
    return re.sub(r'storage_conn_id="\w+"', "storage_conn_id=None", text)


def run_page_dags(
    texts: Mapping[str, str], folder: Path, sandbox: Any, runs: Sequence[PageRun], environment: Mapping[str, str]
) -> PageRuns:
    """Run DAGs one after the other.

    :param texts: the code of the DAGs by file name
    :param folder: the folder for Airflow's home, the DAGs, and, in ``lake``, the stored files
    :param sandbox: the running sandbox
    :param runs: the runs, in order
    :param environment: more environment variables, such as connections
    """
    home, dags, lake = folder / "home", folder / "dags", folder / "lake"
    for path in (home, dags, lake):
        path.mkdir()
    for name, text in texts.items():
        (dags / name).write_text(redirect_to(lake, text))
    arguments = json.dumps([dataclasses.asdict(run) for run in runs])
    result = run_script(SCRIPT, arguments, home=home, dags=dags, sandbox=sandbox, environment=environment)
    assert not result.import_errors, result.import_errors
    return PageRuns(
        {run: PageRunResult(**part, output=output) for run, (part, output) in zip(runs, result.parts, strict=True)},
        lake,
    )
