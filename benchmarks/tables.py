# SPDX-License-Identifier: Apache-2.0
"""What looking into the CSV files of an export costs.

Run ``python -m benchmarks.tables``. Each side runs in a new process, in turns, and its time begins when its modules are
imported; a ratio is the median of the rounds' ratios. Both sides write to the same file system.

- Counting: a member is unpacked, digested and written to a file, with and without the number of its records.
- Parquet: a member becomes a Parquet file, compared with ``unzip -p`` and DuckDB's ``COPY`` with text columns and zstd.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.source import CHUNK, export_file

#: Counting may take this much more time.
COUNTING_GOAL = 1.1
#: Parquet must be this many times as fast as DuckDB.
PARQUET_GOAL = 1.5
#: MB of memory above the import.
MEMORY_GOAL = 150.0

OURS = """
import hashlib, io, json, sys, threading, zipfile
from airflow_provider_connectif.files import deflate
from airflow_provider_connectif.files.read_ahead import ReadAhead
from airflow_provider_connectif.files.background import BackgroundCalls
from airflow_provider_connectif.files.tables.counter import RecordCounter
from airflow_provider_connectif.files.tables.parquet import ParquetConverter
from benchmarks.measurement import measure

what, archive, path = sys.argv[1:]
if what == "parquet":
    import pyarrow.compute, pyarrow.csv, pyarrow.parquet

def blocks():
    with open(archive, "rb") as file:
        info = zipfile.ZipFile(file).infolist()[0]
        file.seek(info.header_offset + 26)
        lengths = file.read(4)
        file.seek(int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little"), io.SEEK_CUR)
        inflater = deflate.Decompressor()
        while not inflater.eof:
            yield from inflater.decompress(file.read(1 << 20))

def run():
    made = blocks()
    ahead = ReadAhead(lambda: next(made, b""), depth=8)
    with open(path, "wb", buffering=0) as file:
        if what == "parquet":
            for block in ParquetConverter(file="contacts.csv").convert(ahead):
                file.write(block)
            return
        counter, digest, hashing = RecordCounter(), hashlib.sha256(), BackgroundCalls()
        for block in ahead:
            if what == "counted":
                counter.feed(block)
            hashing.submit(digest.update, block, size=len(block))
            file.write(block)
        counter.finish()
        hashing.finish()

print(json.dumps(measure(run)))
"""

DUCKDB = """
import json, sys
import duckdb
from benchmarks.measurement import measure

read = "FROM read_csv('/dev/stdin', all_varchar=true, header=true)"
copy = f"COPY ({read}) TO '{sys.argv[1]}' (FORMAT parquet, COMPRESSION zstd)"
connection = duckdb.connect()
connection.execute("SET enable_progress_bar = false")
print(json.dumps(measure(lambda: connection.execute(copy))))
"""


def main() -> int:
    """Measure and print.

    :return: 0 if every goal is reached
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mb", type=int, default=250, help="megabytes of CSV (250)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of both sides (5)")
    parser.add_argument("--scratch", default="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="connectif-bench-", dir=options.scratch) as scratch:
        archive, path = f"{scratch}/export.zip", f"{scratch}/out"
        blob = export_file(options.mb * 1_000_000)
        with open(archive, "wb") as file:
            for chunk in blob.read(0, blob.size, CHUNK):
                file.write(chunk)
        duckdb = ["bash", "-c", f"unzip -p {archive} | {sys.executable} -c '{_quoted(DUCKDB)}' {path}"]
        ours = [sys.executable, "-c", OURS]
        counting = _rounds([*ours, "counted", archive, path], [*ours, "plain", archive, path], options.rounds)
        parquet = _rounds(duckdb, [*ours, "parquet", archive, path], options.rounds)
    slower, faster = _ratio(counting, "seconds"), _ratio(parquet, "seconds")
    peak = max(our["peak"] - our["base"] for _, our in parquet)
    print(
        f"counting: {slower:.2f} times the time, {_ratio(counting, 'cpu'):.2f} times the processor's "
        f"(goal {COUNTING_GOAL}), {_median(counting, 0):.2f} / {_median(counting, 1):.2f} s"
    )
    print(
        f"parquet: {faster:.2f} times as fast (goal {PARQUET_GOAL}), {_median(parquet, 1):.2f} / "
        f"{_median(parquet, 0):.2f} s; {peak:.0f} MB above the import (goal {MEMORY_GOAL:.0f})"
    )
    return 0 if slower <= COUNTING_GOAL and faster >= PARQUET_GOAL and peak <= MEMORY_GOAL else 1


def _quoted(script: str) -> str:
    return script.replace("'", "'\\''")


def _rounds(one: list[str], other: list[str], rounds: int) -> list[tuple[dict[str, float], dict[str, float]]]:
    """Run both in turns, once to warm caches up and then for so many rounds."""
    found = []
    for number in range(rounds + 1):
        first, second = (one, other) if number % 2 else (other, one)
        pair = {id(command): _run(command) for command in (first, second)}
        if number:
            found.append((pair[id(one)], pair[id(other)]))
    return found


def _run(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    if done.returncode:
        raise RuntimeError(f"it failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _ratio(rounds: list[tuple[dict[str, float], dict[str, float]]], field: str) -> float:
    return statistics.median(one[field] / other[field] for one, other in rounds)


def _median(rounds: list[tuple[dict[str, float], dict[str, float]]], side: int) -> float:
    return statistics.median(pair[side]["seconds"] for pair in rounds)


if __name__ == "__main__":
    sys.exit(main())
