# SPDX-License-Identifier: Apache-2.0
"""``make celery``: the examples in an Airflow with the ``CeleryExecutor``, Redis and two workers, against the sandbox.

Every component is a process of its own, on this machine. It ends with what each example came to, and what each worker
has done.
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
EXAMPLES = sorted(path.stem for path in (ROOT / "example_dags").glob("connectif_*.py"))
# An export that somebody makes starts this one; the others' schedules do, and where there is none, this script.
WATCHER = "connectif_on_export_finished"
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
    """All of Airflow's components and two Celery workers, each a process of its own."""

    command = ("sh", "-ec", COMPONENTS)

    def done_by(self, worker: int) -> int:
        """How many tasks a worker has ended well, in Celery's words."""
        return len(re.findall(r"Task execute_\w+\[[^\]]*\] succeeded", self.worker_log(worker)))

    def worker_log(self, worker: int) -> str:
        """What a worker has written."""
        return re.sub(r"\x1b\[[0-9;]*m", "", (self.home / f"worker-{worker}.log").read_text(errors="replace"))


@contextlib.contextmanager
def redis_served() -> Iterator[int]:
    """Run Debian's Redis in memory alone; gives its port."""
    if not (program := shutil.which("redis-server")):
        raise LocalAirflowError("There is no redis-server: make celery installs Debian's package of that name.")
    port = free_port()
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd="/tmp") as server:
        try:
            yield port
        finally:
            server.terminate()


def celery_settings(port: int) -> dict[str, str]:
    """What makes Airflow use Celery, as environment variables.

    :param port: Redis's.
    """
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{port}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"redis://127.0.0.1:{port}/1",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
        # One each, so that a worker does not hold tasks that the other could begin.
        "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
    }


def start_all(airflow: LocalAirflow, vendor: Any) -> dict[str, str]:
    """Start a run of every example, and return its id by DAG."""
    airflow.unpause(WATCHER)
    # What had finished before the watcher's first look is not announced.
    wait_for("the watcher looks", lambda: vendor.stats.by_route.get("GET /exports") or None, 300)
    vendor.create_in_app({"exportType": "contacts"})
    runs = {}
    for name in EXAMPLES:
        if name != WATCHER:
            airflow.unpause(name)
            scheduled = airflow.api("GET", f"/api/v2/dags/{name}")["next_dagrun_run_after"]
            # Not both: they would be for the same day, and the second would replace what the first stored.
            runs[name] = airflow.scheduled_run(name) if scheduled else airflow.trigger(name)

    def announced() -> str | None:
        found = airflow.api("GET", f"/api/v2/dags/{WATCHER}/dagRuns")["dag_runs"]
        return str(found[0]["dag_run_id"]) if found else None

    return {**runs, WATCHER: wait_for("the export is announced", announced, 300)}


def broken(lake: Path, created: Mapping[str, Any]) -> list[str]:
    """Say what is not as it should be in the folders: a file that differs, a stray one, an export that is missing."""
    found, stored = [], set()
    for manifest in lake.rglob("_connectif_manifest.json"):
        content = json.loads(manifest.read_text())
        stored.add(content["export"]["id"])
        sizes = {file["path"]: file["bytes"] for file in content["files"]}
        there = {path.name: path.stat().st_size for path in manifest.parent.iterdir() if path != manifest}
        if there != sizes:
            found.append(f"{manifest.parent} holds {there}, its manifest says {sizes}")
    found += [f"export {export_id} was created and is in no folder" for export_id in created if export_id not in stored]
    return found


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(HOME, ignore_errors=True)
    options = SandboxOptions(queue_seconds=1, seconds_per_export=5, rows=200)
    with Sandbox(options).serve(port=0) as vendor, redis_served() as port:
        print("Airflow starts: every component by itself, Redis, two Celery workers", flush=True)
        airflow = CeleryAirflow(
            HOME / "airflow",
            dags=ROOT / "example_dags",
            connections={"connectif_default": sandbox_connection(vendor.url, vendor.key)},
            environment={"CONNECTIF_LAKE": (HOME / "lake").as_uri(), **celery_settings(port)},
        )
        with airflow:
            for worker in WORKERS:
                wait_for(f"worker {worker} is ready", lambda w=worker: " ready." in airflow.worker_log(w) or None, 300)
            began = time.monotonic()
            states = {
                name: airflow.wait_for_run(name, run_id, timeout=600)
                for name, run_id in start_all(airflow, vendor).items()
            }
            took = time.monotonic() - began
            # Runs that the schedules made are part of it: all that was begun is to end.
            wait_for("every run has ended", lambda: None if running(airflow) else True, 300)
            done = {worker: airflow.done_by(worker) for worker in WORKERS}
        wrong = broken(HOME / "lake", {made["id"]: made for made in vendor.stats.created})
        created = vendor.stats.created_by_api

    print("\n| example | ended as |\n| --- | --- |")
    for name in EXAMPLES:
        print(f"| `{name}` | {states[name]} |")
    print(f"\n{created} exports were created, in {took:.0f} s; tasks by worker: {done}")
    wrong += [f"worker {worker} has done nothing" for worker in WORKERS if not done[worker]]
    wrong += [f"{name} ended as {state}" for name, state in states.items() if state != "success"]
    print("\n".join(f"WRONG: {words}" for words in wrong) or "Every folder is whole, and every export is stored.")
    return 1 if wrong else 0


def running(airflow: LocalAirflow) -> bool:
    """Whether some run of some DAG has not ended."""
    found = airflow.api("GET", "/api/v2/dags/~/dagRuns", params={"limit": 100})["dag_runs"]
    return any(run["state"] not in FINISHED for run in found)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LocalAirflowError as error:
        sys.exit(f"The run with Celery failed. {error}")
    except KeyboardInterrupt:
        sys.exit(130)
