# SPDX-License-Identifier: Apache-2.0
"""Store yesterday's activities from the sandbox with a real Airflow, and print the result: ``make demo``."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from pathlib import Path

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from scripts.local_airflow import LocalAirflow, LocalAirflowError, sandbox_connection

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".demo"
DAG = "connectif_activities"


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(HOME, ignore_errors=True)
    began = time.monotonic()

    def report(text: str) -> None:
        print(f"{time.monotonic() - began:4.0f} s  {text}", flush=True)

    options = SandboxOptions(queue_seconds=1, seconds_per_export=5, rows=1000)
    with Sandbox(options).serve(port=0) as sandbox:
        report(f"The sandbox is listening on {sandbox.url}, as a stand-in for the Connectif API")
        report("Starting Airflow: scheduler, DAG processor, triggerer and API server")
        airflow = LocalAirflow(
            HOME / "airflow",
            dags=ROOT / "example_dags",
            connections={"connectif_default": sandbox_connection(sandbox.url, sandbox.key)},
            environment={"CONNECTIF_LAKE": (HOME / "lake").as_uri()},
        )
        with airflow:
            report(f"Airflow is running at {airflow.url}; unpausing the DAG {DAG}")
            run = airflow.scheduled_run(DAG)
            report(f"Running {run}: create, wait, store")
            state = airflow.wait_for_run(DAG, run)
            if state != "success":
                report(f"The run ended in state {state}: {airflow.tasks(DAG, run)}. Logs: {airflow.home}/logs")
                return 1
            result = airflow.xcom(DAG, run, "store")
            report("The run succeeded")

    print(f"\nexport {result['export_id']} in {result['destination']}\n")
    print(f"{'bytes':>10}  {'rows':>8}  {'columns':>8}  file")
    for file in result["files"]:
        path = Path(file["path"].removeprefix("file://"))
        columns = len(file["columns"])
        print(f"{file['bytes']:>10,}  {file['rows']:>8,}  {columns:>8,}  {path.relative_to(ROOT)}")
    manifest = Path(result["manifest"].removeprefix("file://"))
    print(f"\nmanifest: {manifest.relative_to(ROOT)} ({manifest.stat().st_size} bytes)")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LocalAirflowError as error:
        sys.exit(f"The demo failed. {error}")
    except KeyboardInterrupt:
        sys.exit(130)
