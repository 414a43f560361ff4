# SPDX-License-Identifier: Apache-2.0
"""What some work costs the process that does it: time, processor time, memory."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path


def measured(work: Callable[[], object]) -> dict[str, float]:
    """Do some work.

    :return: ``seconds``; ``cpu``, seconds of the processor; ``base`` and ``peak``, MB of memory (resident) before it
        and at most.
    """
    # What the imports left is not to be walked through in the midst of the work: a full collection with all of
    # Airflow's modules takes a quarter of a second, and comes once in a process, whatever that does.
    gc.collect()
    base = _mb("VmRSS")
    began, busy = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    # Not getrusage's peak: a new process begins with that of the one that started it.
    return {"seconds": seconds, "cpu": cpu, "base": base, "peak": _mb("VmHWM")}


def _mb(field: str) -> float:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields[field].split()[0]) * 1024 / 1e6
