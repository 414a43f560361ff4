# SPDX-License-Identifier: Apache-2.0
"""What some work costs the process that does it: time, processor time, memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path


def measured(work: Callable[[], object]) -> dict[str, float]:
    """Do some work.

    :return: ``seconds``; ``cpu``, seconds of the processor; ``base`` and ``peak``, MB of memory (resident) before it
        and at most.
    """
    base = _now_mb()
    began, busy = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {"seconds": seconds, "cpu": cpu, "base": base, "peak": peak}


def _now_mb() -> float:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024 / 1e6
