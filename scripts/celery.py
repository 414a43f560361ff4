# SPDX-License-Identifier: Apache-2.0
"""Run the example DAGs with the ``CeleryExecutor``, Redis and two workers against the sandbox: ``make celery``.

Every component is a separate process on this machine. At the end, the outcome of each example and the number of tasks
of each worker are printed.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from scripts.local_airflow import FINISHED, LocalAirflow, LocalAirflowError, free_port, sandbox_connection, wait_for

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".celery"
EXAMPLES = sorted(
    # This file defines several DAGs. The others have the name of their DAG.
    "connectif_activities_by_day" if path.stem == "connectif_activities_partitions" else path.stem
    for path in (ROOT / "example_dags").glob("connectif_*.py")
)
# Its runs are started by exports. Those of the others are started by their schedules or, without one, by this script.
WATCHER = "connectif_on_export_finished"
# Its runs are started by failed exports, and send e-mails: tests/system/test_export_failed.py has a mail server.
EXAMPLES.remove("connectif_on_export_failed")
WORKERS = (1, 2)

COMPONENTS = """
airflow db migrate
for component in api-server scheduler dag-processor triggerer; do airflow $component & done
for worker in 1 2; do
    mine="$AIRFLOW_HOME/worker-$worker"
    airflow celery worker --skip-serve-logs --celery-hostname worker$worker@%h --pid $mine.pid >$mine.log 2>&1 &
done
wait
"""


class CeleryAirflow(LocalAirflow):
    """All components of Airflow and two Celery workers, each in a separate process."""

    command = ("sh", "-ec", COMPONENTS)

    def succeeded_tasks(self, worker: int) -> int:
        """Return how many tasks a worker has completed successfully, according to Celery."""
        return len(re.findall(r"Task execute_\w+\[[^\]]*\] succeeded", self.worker_log(worker)))

    def worker_log(self, worker: int) -> str:
        """Return the output of a worker."""
        return re.sub(r"\x1b\[[0-9;]*m", "", (self.home / f"worker-{worker}.log").read_text(errors="replace"))


@contextlib.contextmanager
def redis_server() -> Iterator[int]:
    """Run Debian's Redis without persistence, and yield its port."""
    if not (program := shutil.which("redis-server")):
        raise LocalAirflowError("redis-server is missing; make celery installs the Debian package of that name.")
    port = free_port()
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd="/tmp") as server:
        try:
            yield port
        finally:
            server.terminate()


def celery_settings(port: int) -> dict[str, str]:
    """Return the environment variables that configure Airflow for Celery.

    :param port: port of Redis
    """
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{port}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"redis://127.0.0.1:{port}/1",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
        # So that a worker does not reserve tasks that the other one could start.
        "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
    }


def start_runs(airflow: LocalAirflow, sandbox: Any) -> dict[str, str]:
    """Start a run of every example, and return its id by DAG."""
    airflow.unpause(WATCHER)
    # An export that finishes before the watcher's first request is not announced.
    wait_for("the watcher's first request", lambda: sandbox.stats.by_route.get("GET /exports") or None, 300)
    sandbox.create_in_app({"exportType": "contacts"})
    runs = {}
    for name in EXAMPLES:
        if name != WATCHER:
            airflow.unpause(name)
            scheduled = airflow.api("GET", f"/api/v2/dags/{name}")["next_dagrun_run_after"]
            # Not both: they would be for the same day, and the second would replace the files of the first.
            runs[name] = airflow.scheduled_run(name) if scheduled else airflow.trigger(name)

    def announced() -> str | None:
        found = airflow.api("GET", f"/api/v2/dags/{WATCHER}/dagRuns")["dag_runs"]
        return str(found[0]["dag_run_id"]) if found else None

    return {**runs, WATCHER: wait_for("an announcement of the export", announced, 300)}


def find_problems(lake: Path, created: Mapping[str, Any]) -> list[str]:
    """Return descriptions of incomplete folders, unexpected files and missing exports."""
    found, stored = [], set()
    for manifest in lake.rglob("_connectif_manifest.json"):
        content = json.loads(manifest.read_text())
        stored.add(content["export"]["id"])
        sizes = {file["path"]: file["bytes"] for file in content["files"]}
        there = {path.name: path.stat().st_size for path in manifest.parent.iterdir() if path != manifest}
        if there != sizes:
            found.append(f"{manifest.parent} contains {there}, but its manifest lists {sizes}")
    found += [f"export {export_id} was created but not stored" for export_id in created if export_id not in stored]
    return found


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(HOME, ignore_errors=True)
    options = SandboxOptions(queue_seconds=1, seconds_per_export=5, rows=200)
    with Sandbox(options).serve(port=0) as sandbox, redis_server() as port:
        print("Starting every component of Airflow, Redis and two Celery workers", flush=True)
        airflow = CeleryAirflow(
            HOME / "airflow",
            dags=ROOT / "example_dags",
            connections={"connectif_default": sandbox_connection(sandbox.url, sandbox.key)},
            environment={"CONNECTIF_LAKE": (HOME / "lake").as_uri(), **celery_settings(port)},
        )
        with airflow:
            for worker in WORKERS:
                wait_for(f"worker {worker}", lambda w=worker: " ready." in airflow.worker_log(w) or None, 300)
            began = time.monotonic()
            states = {
                name: airflow.wait_for_run(name, run_id, timeout=600)
                for name, run_id in start_runs(airflow, sandbox).items()
            }
            took = time.monotonic() - began
            # This includes further runs that the schedules have created.
            wait_for("all runs to end", lambda: None if running(airflow) else True, 300)
            succeeded = {worker: airflow.succeeded_tasks(worker) for worker in WORKERS}
        problems = find_problems(HOME / "lake", {export["id"]: export for export in sandbox.stats.created})
        created = sandbox.stats.created_by_api

    print("\n| example | state |\n| --- | --- |")
    for name in EXAMPLES:
        print(f"| `{name}` | {states[name]} |")
    print(f"\n{created} exports were created in {took:.0f} s; successful tasks by worker: {succeeded}")
    problems += [f"worker {worker} has not run any task" for worker in WORKERS if not succeeded[worker]]
    problems += [f"{name} ended in state {state}" for name, state in states.items() if state != "success"]
    print("\n".join(f"ERROR: {problem}" for problem in problems) or "Every folder is complete and every export stored.")
    return 1 if problems else 0


def running(airflow: LocalAirflow) -> bool:
    """Return whether any DAG run has not ended yet."""
    found = airflow.api("GET", "/api/v2/dags/~/dagRuns", params={"limit": 100})["dag_runs"]
    return any(run["state"] not in FINISHED for run in found)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LocalAirflowError as error:
        sys.exit(f"The run with Celery failed. {error}")
    except KeyboardInterrupt:
        sys.exit(130)
