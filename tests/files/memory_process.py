# SPDX-License-Identifier: Apache-2.0
"""Measure how much memory a delivery takes, in a process of its own: ``python -m tests.files.memory_process JSON``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.files.exports import MIB, Archive, Member, deliver_to
from tests.stores import Place


class Generated(Member):
    """A file of this size that is never in memory as a whole."""

    def __init__(self, mib: int, number: int = 0) -> None:
        super().__init__(f"generated-{number}.csv", b"")
        self._blocks = mib
        self.size = mib * MIB

    def chunks(self) -> Iterator[bytes]:
        for number in range(self._blocks):
            yield number.to_bytes(8, "big") * (MIB // 8)


def peak_mib() -> float:
    # Not from getrusage: there a new process starts with the peak of its parent.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def main() -> None:
    arguments = json.loads(sys.argv[1])
    place = Place.from_description(arguments["place"])
    deliver_to(place, {"id": "small"}, Archive(Generated(1)))
    base = peak_mib()
    members = [Generated(arguments["mib"], number) for number in range(arguments["members"])]
    deliver_to(place, {"id": "large"}, Archive(*members))  # type: ignore[arg-type]
    sys.stdout.write(str(peak_mib() - base))


if __name__ == "__main__":
    main()
