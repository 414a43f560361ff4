# SPDX-License-Identifier: Apache-2.0
"""Measure the time, processor time and memory that a function takes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path


def measure(work: Callable[[], object]) -> dict[str, float]:
    """Call a function.

    :return: ``seconds``; ``cpu``, the seconds of processor time; ``base`` and ``peak``, the resident memory in MB
        before the call and at most
    """
    # Otherwise a full collection, which takes a quarter of a second with all of Airflow's modules and occurs once in a
    # process, might happen during the call.
    gc.collect()
    base = _mb("VmRSS")
    began, busy = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    # Not the peak of getrusage, which a new process inherits from its parent.
    return {"seconds": seconds, "cpu": cpu, "base": base, "peak": _mb("VmHWM")}


def _mb(field: str) -> float:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields[field].split()[0]) * 1024 / 1e6
