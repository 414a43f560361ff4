# SPDX-License-Identifier: Apache-2.0
"""Log lines about progress: one every few seconds, not one for each block."""

from __future__ import annotations

import time
from collections.abc import Callable


class ProgressLog:
    """Logs how much of each object is stored.

    :param log: called with each line
    :param interval: seconds between two lines about the same object
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        log: Callable[[str], object],
        *,
        interval: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._interval = interval
        self._clock = clock
        self._name: str | None = None
        self._started = 0.0
        self._logged = 0.0

    def __call__(self, name: str, done: int, total: int | None) -> None:
        """Log a line if the last one is old enough.

        :param name: the object's name
        :param done: bytes written so far
        :param total: the object's size, if known; for compressed objects an upper bound
        """
        now = self._clock()
        if name != self._name:
            self._name, self._started, self._logged = name, now, now
        if now - self._logged < self._interval:
            return
        self._logged = now
        speed = done / max(now - self._started, 0.001)
        line = f"{name}: {format_size(done)}"
        if total and done <= total:
            line += f" of {format_size(total)} ({100 * done // total}%)"
        line += f", {format_size(int(speed))}/s"
        if total and speed and done <= total:
            line += f", about {(total - done) / speed:.0f} s left"
        self._log(line + ".")


def format_size(count: int) -> str:
    """Format a number of bytes, such as ``1.4 GB``."""
    if count < 1000:
        return f"{count} bytes"
    number = float(count)
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 1000:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:.1f} TB"
