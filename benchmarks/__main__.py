# SPDX-License-Identifier: Apache-2.0
"""Compare storing an export with the same job done by common tools: ``make bench`` or ``python -m benchmarks``.

Both sides download the same file from the same server, on the loopback interface, and write to the same file system.
They take turns, the first one alternates from round to round, and the ratio is the median of the rounds' ratios. The
package runs as in a worker that has already imported its modules; for the same reason, the time that ``aws --version``
takes is subtracted from that of ``aws``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.comparison import Comparison, Memory, compare, compare_memory
from benchmarks.report import markdown, plain
from benchmarks.sides import run_servers, sha256_speed
from benchmarks.store_requests import Requests, count_requests

_PROGRAMS = ("bash", "curl", "unzip", "funzip", "gzip", "openssl")

#: The minimum ratio of the speeds, where 1.05 means "faster".
GOALS = {"a": 0.9, "b": 1.05, "c": 12.0, "d": 1.05, "g": 1.2, "i": 1.5, "j": 1 / 1.1}
#: The maximum memory in MB above that after the imports.
MEMORY_GOAL = 150.0
#: The maximum difference in MB between the largest and the smallest file.
MEMORY_GROWTH_GOAL = 20.0


def main() -> int:
    """Measure, print the results, and return 0 if every goal is reached."""
    options = _options()
    if missing := [name for name in _PROGRAMS if shutil.which(name) is None]:
        raise SystemExit(f"Install these programs first: {', '.join(missing)} (funzip is in the Debian package unzip).")
    memory_sizes = [64, 1000, 8000] if options.full else [64, 256]
    megabytes = options.mb or (1000 if options.full else 250)
    scratch = Path(options.scratch or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()))
    only = set(options.only or "abcdeghij")
    rows: list[Comparison] = []
    memory: list[Memory] = []
    requests: list[Requests] = []
    with run_servers(scratch) as sides:
        store_speed = sides.source_speed(megabytes)
        for name in sorted(only & set(GOALS)):
            rows.append(compare(sides, name, megabytes, options.rounds, GOALS[name]))
            print(plain([rows[-1]], []), file=sys.stderr, flush=True)
        if "h" in only:
            requests = count_requests(sides)
    if "e" in only:
        # Two copies of the largest file are stored: on a disk, so that they do not occupy memory.
        with run_servers(Path(options.disk or tempfile.gettempdir())) as sides:
            memory = compare_memory(sides, memory_sizes)
    details = {
        "scratch": str(scratch),
        "source": f"{store_speed:.0f} MB/s to a reader that discards the data",
        "SHA-256": f"{sha256_speed():.0f} MB/s in one thread, the upper limit for the package in (a)",
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
    }
    print((markdown if options.markdown else plain)(rows, memory, details, requests))
    if options.json:
        Path(options.json).write_text(json.dumps([vars(each) for each in [*rows, *memory, *requests]], indent=1))
    archives = [each.ours for each in memory if each.file_format == "archive"]
    growth = max(archives, default=0) - min(archives, default=0)
    reached = all(row.ratio >= row.goal for row in rows) and all(each.ours < MEMORY_GOAL for each in memory)
    reached = reached and all(each.reached for each in requests)
    return 0 if reached and growth < MEMORY_GROWTH_GOAL else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition(".")[0])
    parser.add_argument("--full", action="store_true", help="use files of 1 GB, and up to 8 GB for the memory")
    parser.add_argument(
        "--mb", type=int, help="size of the archive (adg) or CSV file (bcij) in MB (250; 1000 with --full)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (3)")
    parser.add_argument("--only", help="rows to measure, such as ad")
    parser.add_argument(
        "--scratch", help="folder to which both sides write (/dev/shm, which is in memory, if available)"
    )
    parser.add_argument("--disk", help="folder of the S3 server for the memory rows (the folder for temporary files)")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--json", help="file for the results of each round")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
