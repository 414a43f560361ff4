# SPDX-License-Identifier: Apache-2.0
"""How much memory a delivery takes, in a process of its own: ``python -m tests.files.measured JSON``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.files.exports import MIB, Archive, store
from tests.stores import Place, filesystem


class Generated:
    """A file of so many MiB that is never held whole."""

    name = "generated.csv"
    sha256 = None

    def __init__(self, mib: int) -> None:
        self.size = mib * MIB

    def chunks(self) -> Iterator[bytes]:
        for number in range(self.size // MIB):
            yield number.to_bytes(8, "big") * (MIB // 8)


def peak_mib() -> float:
    # Not getrusage's: a new process begins with the peak of the one that started it.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def main() -> None:
    told = json.loads(sys.argv[1])
    place = Place(told["kind"], told["uri"], filesystem(told["kind"], told["options"]), told["path"])
    store(place, {"id": "small"}, Archive(Generated(1)))  # type: ignore[arg-type]
    base = peak_mib()
    store(place, {"id": "large"}, Archive(Generated(told["mib"])))  # type: ignore[arg-type]
    sys.stdout.write(str(peak_mib() - base))


if __name__ == "__main__":
    main()
