# SPDX-License-Identifier: Apache-2.0
"""What importing the modules that DAG files import adds to the parsing of a DAG file.

Run ``python -m benchmarks.imports``. Each run is a new process in which Airflow is loaded already, as where a DAG
file is parsed, with bytecode at hand, as in an installed package. Wall time is what a parse waits; processor time is
what remains of it on a machine that is otherwise idle. The modules are imported in the order of the table: what they
share counts for the first.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

MODULES = {
    "operators": "airflow_provider_connectif.operators.connectif",
    "sensors": "airflow_provider_connectif.sensors.connectif",
    "transfers": "airflow_provider_connectif.transfers.connectif_to_object_storage",
}
LIMIT = 10.0
"""Milliseconds that they may add together."""

RUN = """
import importlib, json, sys, time
import airflow.sdk
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
took = []
for module in sys.argv[1:]:
    wall, processor = time.perf_counter(), time.process_time()
    importlib.import_module(module)
    took.append((1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - processor)))
print("TOOK", json.dumps(took))
"""


def measure(environment: dict[str, str]) -> list[tuple[float, float]]:
    """Import the modules in a new process.

    :return: milliseconds of wall time and of processor time, for each.
    """
    command = [sys.executable, "-c", RUN, *MODULES.values()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [(wall, processor) for wall, processor in json.loads(done.stdout.rpartition("TOOK ")[2])]


def main() -> int:
    """Measure and print a table.

    :return: 0 where the limit holds.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=11, help="new processes (11)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        measure(environment)  # writes the bytecode
        found = [measure(environment) for _ in range(runs)]
    found = [[*each, (sum(wall for wall, _ in each), sum(busy for _, busy in each))] for each in found]
    print(f"{'imported':12}{'median ms':>11}{'fastest':>10}{'processor':>11}")
    for name, times in zip([*MODULES, "together"], zip(*found, strict=True), strict=True):
        walls, processors = zip(*times, strict=True)
        median, busy = statistics.median(walls), statistics.median(processors)
        print(f"{name:12}{median:>11.1f}{min(walls):>10.1f}{busy:>11.1f}")
    kept = median < LIMIT
    print(f"Together they are to add less than {LIMIT:.0f} ms: {'they do' if kept else 'they do not'}.")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
