# SPDX-License-Identifier: Apache-2.0
"""What storing an export costs, beside what one would do without this package. ``make bench``, or
``python -m benchmarks``.

Both sides take the same file from the same server, on the loopback, and write to the same file system, in turns:
who is first changes from round to round, and the ratio is the median of the rounds' ratios. The package runs as in a
worker whose modules are loaded; so of ``aws`` the time that ``aws --version`` takes is taken off too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.comparing import Comparison, Memory, compare, compare_memory
from benchmarks.report import markdown, plain
from benchmarks.sides import running, sha256_speed

_PROGRAMS = ("bash", "curl", "unzip", "funzip", "gzip", "openssl")

GOALS = {"a": 0.9, "b": 1.05, "c": 12.0, "d": 1.05, "g": 1.05}
"""Least times as fast as the other side; 1.05 for "faster"."""
MEMORY_GOAL = 150.0
"""Most MB above the import."""
FLAT_GOAL = 20.0
"""Most MB that the largest file may take more than the smallest."""


def main() -> int:
    """Measure and print.

    :return: 0 where every goal is reached.
    """
    options = _options()
    if missing := [name for name in _PROGRAMS if shutil.which(name) is None]:
        raise SystemExit(f"The other side needs {', '.join(missing)} (funzip is in Debian's package unzip).")
    memory_sizes = [64, 1000, 8000] if options.full else [64, 256]
    megabytes = options.mb or (1000 if options.full else 250)
    scratch = Path(options.scratch or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()))
    only = set(options.only or "abcdeg")
    rows: list[Comparison] = []
    memory: list[Memory] = []
    with running(scratch) as sides:
        store_speed = sides.source_speed(megabytes)
        for name in sorted(only & set(GOALS)):
            rows.append(compare(sides, name, megabytes, options.rounds, GOALS[name]))
            print(plain([rows[-1]], []), file=sys.stderr, flush=True)
    if "e" in only:
        # Two copies of the largest file are to lie there: rather on a disk than in memory that is to be measured.
        with running(Path(options.disk or tempfile.gettempdir())) as sides:
            memory = compare_memory(sides, memory_sizes)
    about = {
        "scratch": str(scratch),
        "source": f"{store_speed:.0f} MB/s to a reader that drops what it reads",
        "SHA-256": f"{sha256_speed():.0f} MB/s in one thread, which bounds what the package can do in (a)",
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
    }
    print(markdown(rows, memory, about) if options.markdown else plain(rows, memory, about))
    if options.json:
        Path(options.json).write_text(json.dumps([vars(each) for each in [*rows, *memory]], indent=1))
    flat = max((each.ours for each in memory), default=0) - min((each.ours for each in memory), default=0)
    reached = all(row.ratio >= row.goal for row in rows) and all(each.ours < MEMORY_GOAL for each in memory)
    return 0 if reached and flat < FLAT_GOAL else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition(".")[0])
    parser.add_argument("--full", action="store_true", help="files of 1 GB, and of 8 GB for memory")
    parser.add_argument("--mb", type=int, help="megabytes of the archive (adg) and of the CSV (bc): 250, full 1000")
    parser.add_argument("--rounds", type=int, default=3, help="turns of both sides (3)")
    parser.add_argument("--only", help="rows to measure, such as ad")
    parser.add_argument("--scratch", help="where both sides write (/dev/shm, a file system in memory, if there is one)")
    parser.add_argument("--disk", help="where the S3 server of the memory rows writes (the folder for temporary files)")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--json", help="a file for the figures of each round")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
