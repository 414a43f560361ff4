# SPDX-License-Identifier: Apache-2.0
"""Measure the time that importing the package adds to parsing a DAG file: ``python -m benchmarks.imports``.

Each run is a new process that has already imported Airflow, like one that parses DAG files, with cached bytecode, like
that of an installed package. The processor time is what the wall time would be on an otherwise idle machine. The
modules are imported in the order of the table, and what they share counts for the first one.
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
#: The maximum total in milliseconds.
LIMIT = 10.0

RUN = """
import importlib, json, sys, time
import airflow.sdk
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
times = []
for module in sys.argv[1:]:
    wall, processor = time.perf_counter(), time.process_time()
    importlib.import_module(module)
    times.append((1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - processor)))
print("TIMES", json.dumps(times))
"""


def measure(environment: dict[str, str]) -> list[tuple[float, float]]:
    """Import the modules in a new process.

    :return: wall time and processor time of each module in milliseconds
    """
    command = [sys.executable, "-c", RUN, *MODULES.values()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [(wall, processor) for wall, processor in json.loads(done.stdout.rpartition("TIMES ")[2])]


def main() -> int:
    """Measure, print a table, and return 0 if the limit is met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=11, help="number of new processes (11)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        measure(environment)  # to write the bytecode
        found = [measure(environment) for _ in range(runs)]
    found = [[*each, (sum(wall for wall, _ in each), sum(busy for _, busy in each))] for each in found]
    print(f"{'module':12}{'median ms':>11}{'fastest':>10}{'processor':>11}")
    for name, times in zip([*MODULES, "total"], zip(*found, strict=True), strict=True):
        walls, processors = zip(*times, strict=True)
        median, busy = statistics.median(walls), statistics.median(processors)
        print(f"{name:12}{median:>11.1f}{min(walls):>10.1f}{busy:>11.1f}")
    passed = median < LIMIT
    print(f"{'PASSED' if passed else 'FAILED'}: in total less than {LIMIT:.0f} ms")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
