# SPDX-License-Identifier: Apache-2.0
"""Kill processes of a real Airflow at random moments, and count the exports (``make chaos``).

Jobs that create an export, wait for it and store it run in a real Airflow against the sandbox, while workers, their
supervisors and the triggerer are killed (``SIGKILL``). At the end there must be one export for each task instance,
each in a whole folder of its own, and nothing else.

``python -m scripts.chaos --kills 30 --seed 1``
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from scripts.local_airflow import LocalAirflow, LocalAirflowError, sandbox_connection
from scripts.triggerer import Triggerer

ROOT = Path(__file__).parents[1]
DAG = "chaos"


class Chaos:
    """One long run.

    :param folder: where everything is kept.
    :param kills: how many processes to kill.
    :param seed: of the moments and of the victims.
    """

    def __init__(self, folder: Path, kills: int, seed: int) -> None:
        self.folder = folder
        self.kills = kills
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.runs: list[str] = []

    def run(self) -> int:
        """Run it all and print the count; returns the exit code."""
        options = SandboxOptions(queue_seconds=0.5, seconds_per_export=5, rows=2000)
        with Sandbox(options).serve(port=0) as vendor:
            airflow = LocalAirflow(
                self.folder / "airflow",
                dags=ROOT / "tests" / "system" / "dags",
                connections={"connectif_default": sandbox_connection(vendor.url, vendor.key)},
                environment={
                    "CONNECTIF_LAKE": f"file://{self.folder / 'lake'}",
                    "CHAOS_PIDS": str(self.folder / "pids"),
                    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",
                    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
                    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
                },
            )
            with airflow, Triggerer(airflow) as triggerer:
                self._kill_while_it_runs(airflow, triggerer)
                return self._count(airflow, vendor)

    def _kill_while_it_runs(self, airflow: LocalAirflow, triggerer: Triggerer) -> None:
        airflow.unpause(DAG)
        while sum(self.done.values()) < self.kills:
            if not self._active(airflow):
                self._start_a_run(airflow)
            time.sleep(self.random.uniform(0.3, 3.0))
            if self.random.random() < 0.1:
                triggerer.kill()
                triggerer.start()
                self.done["triggerer"] += 1
            else:
                self._kill_worker()
        for run_id in self.runs:
            airflow.wait_for_run(DAG, run_id, timeout=900)

    def _start_a_run(self, airflow: LocalAirflow) -> None:
        conf = {"first_day": f"2026-0{len(self.runs) % 9 + 1}-01", "tasks": 6}
        run = airflow.api("POST", f"/api/v2/dags/{DAG}/dagRuns", json={"logical_date": None, "conf": conf})
        self.runs.append(run["dag_run_id"])
        print(f"run {len(self.runs)} started, {sum(self.done.values())} kills so far", flush=True)

    def _active(self, airflow: LocalAirflow) -> bool:
        found = airflow.api("GET", f"/api/v2/dags/{DAG}/dagRuns", params={"state": ["queued", "running"]})
        return bool(found["dag_runs"])

    def _kill_worker(self) -> None:
        living = []
        for path in (self.folder / "pids").glob("*"):
            try:
                process = psutil.Process(int(path.name))
                if process.status() != psutil.STATUS_ZOMBIE:
                    living.append(process)
            except psutil.NoSuchProcess:
                path.unlink(missing_ok=True)
        if not living:
            return
        victim = self.random.choice(living)
        try:
            if self.random.random() < 0.15:
                # The supervisor: Airflow hears nothing more, and the task's process may live on for a while.
                victim.parent().kill()  # type: ignore[union-attr]
                self.done["supervisor"] += 1
            else:
                victim.kill()
                self.done["worker"] += 1
        except psutil.NoSuchProcess:
            pass

    def _count(self, airflow: LocalAirflow, vendor: Any) -> int:
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
        created = vendor.stats.created
        folders = list((self.folder / "lake").iterdir())
        whole = [folder for folder in folders if _is_whole(folder)]
        print(f"killed:            {sum(self.done.values())} ({_words(self.done)})")
        print(f"task instances:    {len(tasks)} ({_words(states)}), in {tries} tries")
        print(f"exports created:   {len(created)}")
        print(f"whole folders:     {len(whole)} of {len(folders)}")
        good = states == {"success": len(tasks)} and len(tasks) == len(created) == len(folders) == len(whole)
        print("one export for each task instance" if good else "NOT one export for each task instance")
        return 0 if good else 1


def _is_whole(folder: Path) -> bool:
    manifest = json.loads((folder / "_connectif_manifest.json").read_text())
    listed = {file["path"]: file["bytes"] for file in manifest["files"]}
    found = {path.name: path.stat().st_size for path in folder.iterdir() if path.name != "_connectif_manifest.json"}
    return listed == found and manifest["export"]["id"] == folder.name


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))


def main() -> int:
    """Read the command line, run, and say where everything is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=30, help="how many processes to kill")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments and of the victims")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="connectif-chaos-"))
    print(f"seed {arguments.seed}, everything is kept in {folder}")
    try:
        return Chaos(folder, arguments.kills, arguments.seed).run()
    except LocalAirflowError as problem:
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
