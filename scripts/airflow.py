# SPDX-License-Identifier: Apache-2.0
"""Run a standalone Airflow with the sandbox, the example DAGs and a connection, until Ctrl+C: ``make airflow``."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from scripts.local_airflow import LocalAirflow, LocalAirflowError, free_port, sandbox_connection

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".airflow"


def preferred_port(port: int) -> int:
    """Return the port, or a free one if it is in use."""
    with socket.socket() as probe:
        return port if probe.connect_ex(("127.0.0.1", port)) else free_port()


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = SandboxOptions(queue_seconds=2, seconds_per_export=15, rows=1000, seed=12)
    with Sandbox(options).serve(port=preferred_port(8787)) as sandbox:
        airflow = LocalAirflow(
            HOME,
            dags=ROOT / "example_dags",
            connections={"connectif_default": sandbox_connection(sandbox.url, sandbox.key)},
            environment={"CONNECTIF_LAKE": (HOME / "lake").as_uri()},
            port=preferred_port(8080),
        )
        print(f"Starting Airflow in {HOME}, which takes about half a minute", flush=True)
        with airflow:
            print(f"\nAirflow:  {airflow.url} (no password)")
            print(f"Sandbox:  {sandbox.url} with the key {sandbox.key}")
            print("          (used by the connection connectif_default)")
            print(f"Files:    {HOME / 'lake'}")
            print(f"Output:   {airflow.output}\n\nPress Ctrl+C to stop everything.", flush=True)
            return airflow.wait()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LocalAirflowError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("\nStopped.")
