# SPDX-License-Identifier: Apache-2.0
"""Kill processes of a real Airflow at random times, against a hostile API, and count the exports: ``make chaos``.

Tasks that create an export, wait for it and store it run in a real Airflow against the sandbox, while workers, their
supervisors and the triggerer are killed (``SIGKILL``). Meanwhile, the sandbox does not show new exports in half of its
responses, and responds at random with HTML, empty bodies, cut JSON, errors, unusual rate limit headers, or late. At the
end there must be exactly one export for each task instance, each in its own complete folder, and nothing else; and no
task may have failed, because each has enough ``retries``.

``python -m scripts.chaos --kills 30 --seed 1 --no-hostile``
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from scripts.local_airflow import LocalAirflow, LocalAirflowError, sandbox_connection
from scripts.triggerer import Triggerer

ROOT = Path(__file__).parents[1]
DAG = "chaos"
HOSTILE = {"hostile_share": 0.35, "replica_lag": 6.0, "file_error_share": 0.1}


class Chaos:
    """A chaos test.

    :param folder: folder for all files
    :param kills: number of processes to kill
    :param seed: seed for the choice of times, processes and responses
    :param hostile: whether the API is hostile
    """

    def __init__(self, folder: Path, kills: int, seed: int, *, hostile: bool) -> None:
        self.folder = folder
        self.kills = kills
        self.options = SandboxOptions(
            queue_seconds=0.5, seconds_per_export=5, rows=2000, random_seed=seed, **(HOSTILE if hostile else {})
        )
        self.random = random.Random(seed)
        self.killed: Counter[str] = Counter()
        self.runs: list[str] = []

    def run(self) -> int:
        """Run the test, print the result, and return the exit code."""
        with Sandbox(self.options).serve(port=0) as sandbox:
            airflow = LocalAirflow(
                self.folder / "airflow",
                dags=ROOT / "tests" / "system" / "dags",
                connections={"connectif_default": sandbox_connection(sandbox.url, sandbox.key)},
                environment={
                    "CONNECTIF_LAKE": f"file://{self.folder / 'lake'}",
                    "CHAOS_PIDS": str(self.folder / "pids"),
                    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",
                    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
                    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
                },
            )
            with airflow, Triggerer(airflow) as triggerer:
                self._kill_processes(airflow, triggerer)
                return self._report(airflow, sandbox)

    def _kill_processes(self, airflow: LocalAirflow, triggerer: Triggerer) -> None:
        airflow.unpause(DAG)
        while sum(self.killed.values()) < self.kills:
            if not self._active(airflow):
                self._start_run(airflow)
            time.sleep(self.random.uniform(0.3, 3.0))
            if self.random.random() < 0.1:
                triggerer.kill()
                triggerer.start()
                self.killed["triggerer"] += 1
            else:
                self._kill_worker()
        for run_id in self.runs:
            airflow.wait_for_run(DAG, run_id, timeout=900)

    def _start_run(self, airflow: LocalAirflow) -> None:
        conf = {"first_day": f"2026-0{len(self.runs) % 9 + 1}-01", "tasks": 6}
        run = airflow.api("POST", f"/api/v2/dags/{DAG}/dagRuns", json={"logical_date": None, "conf": conf})
        self.runs.append(run["dag_run_id"])
        print(f"run {len(self.runs)} started, {sum(self.killed.values())} kills so far", flush=True)

    def _active(self, airflow: LocalAirflow) -> bool:
        found = airflow.api("GET", f"/api/v2/dags/{DAG}/dagRuns", params={"state": ["queued", "running"]})
        return bool(found["dag_runs"])

    def _kill_worker(self) -> None:
        alive = []
        for path in (self.folder / "pids").glob("*"):
            try:
                process = psutil.Process(int(path.name))
                if process.status() != psutil.STATUS_ZOMBIE:
                    alive.append(process)
            except psutil.NoSuchProcess:
                path.unlink(missing_ok=True)
        if not alive:
            return
        victim = self.random.choice(alive)
        try:
            if self.random.random() < 0.15:
                # The supervisor: Airflow gets no more heartbeats, while the task's process may continue for a while.
                victim.parent().kill()  # type: ignore[union-attr]
                self.killed["supervisor"] += 1
            else:
                victim.kill()
                self.killed["worker"] += 1
        except psutil.NoSuchProcess:
            pass

    def _report(self, airflow: LocalAirflow, sandbox: Any) -> int:
        tasks = [
            task
            for run_id in self.runs
            for task in airflow.api("GET", f"/api/v2/dags/{DAG}/dagRuns/{run_id}/taskInstances", params={"limit": 100})[
                "task_instances"
            ]
            if task["task_id"] in ("sync", "deferrable")
        ]
        states = Counter(task["state"] for task in tasks)
        tries = sum(task["try_number"] for task in tasks)
        created = sandbox.stats.created
        folders = list((self.folder / "lake").iterdir())
        complete = [folder for folder in folders if _is_complete(folder)]
        print(f"processes killed:  {sum(self.killed.values())} ({_format_counts(self.killed)})")
        print(f"task instances:    {len(tasks)} ({_format_counts(states)}), in {tries} tries")
        print(f"odd responses:     {sum(sandbox.stats.faults.values())} ({_format_counts(sandbox.stats.faults)})")
        print(f"exports created:   {len(created)}")
        print(f"complete folders:  {len(complete)} of {len(folders)}")
        passed = states == {"success": len(tasks)} and len(tasks) == len(created) == len(folders) == len(complete)
        print(f"{'PASSED' if passed else 'FAILED'}: one export for each task instance")
        return 0 if passed else 1


def _is_complete(folder: Path) -> bool:
    manifest = json.loads((folder / "_connectif_manifest.json").read_text())
    listed = {file["path"]: file["bytes"] for file in manifest["files"]}
    found = {path.name: path.stat().st_size for path in folder.iterdir() if path.name != "_connectif_manifest.json"}
    return listed == found and manifest["export"]["id"] == folder.name


def _format_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))


def main() -> int:
    """Run the test that the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=30, help="number of processes to kill")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="seed for the choice of times and processes")
    parser.add_argument(
        "--hostile", action=argparse.BooleanOptionalAction, default=True, help="whether the API is hostile"
    )
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="connectif-chaos-"))
    print(f"seed {arguments.seed}, files in {folder}")
    try:
        return Chaos(folder, arguments.kills, arguments.seed, hostile=arguments.hostile).run()
    except LocalAirflowError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
