# SPDX-License-Identifier: Apache-2.0
"""The comparisons, in which both sides take turns."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from benchmarks.sides import BUCKET, Sides, Usage, aws_program, csv_bytes_of
from benchmarks.source import export_file


@dataclass
class Comparison:
    """A row of the table, with the medians of the rounds.

    :param gigabytes: size of the downloaded file
    :param ours: seconds that the package takes
    :param theirs: seconds that the other tools take
    :param ratio: how many times as fast as the other tools the package is
    :param ours_cpu: seconds of processor time per downloaded GB
    """

    name: str
    what: str
    compared_with: str
    gigabytes: float
    ours: float
    theirs: float
    ratio: float
    ratios: list[float]
    ours_cpu: float
    theirs_cpu: float
    goal: float


@dataclass
class Memory:
    """The peak memory in MB above that after the imports, for one size of the archive; None if not measured.

    :param megabytes: size of the archive if it is stored unchanged, or of the CSV file if it is converted
    """

    file_format: str
    megabytes: int
    ours: float
    theirs: float | None


def compare(sides: Sides, name: str, megabytes: int, rounds: int, goal: float) -> Comparison:
    """Measure one row.

    :param megabytes: size of the archive if it is stored unchanged, or of the CSV file if it is unpacked
    """
    csv_bytes = csv_bytes_of(megabytes) if name in "adg" else megabytes * 1_000_000
    fetch = f"curl -sS --fail -o export.zip {sides.url(csv_bytes)}"
    ours: Callable[[], Usage]
    theirs: Callable[[], Usage]
    if name == "a":
        what, compared_with = "`archive` to a folder", "`curl -o`"
        ours, theirs = lambda: sides.ours(csv_bytes, "archive"), lambda: sides.commands(fetch)
    elif name == "b":
        what, compared_with = "`csv` to a folder", "`curl -o`, then `unzip`"
        ours, theirs = lambda: sides.ours(csv_bytes, "csv"), lambda: sides.commands(fetch, "unzip -q export.zip")
    elif name == "c":
        what, compared_with = "`csv.gz` to a folder", "`curl`, `funzip`, `gzip`"
        pipe = f"curl -sS --fail {sides.url(csv_bytes)} | funzip | gzip > export.csv.gz"
        ours, theirs = lambda: sides.ours(csv_bytes, "csv.gz"), lambda: sides.commands(pipe)
    elif name == "g":
        what, compared_with = "`archive` to a folder", "`curl -o`, `openssl`"
        ours, theirs = (
            lambda: sides.ours(csv_bytes, "archive"),
            lambda: sides.commands(fetch, "openssl dgst -sha256 export.zip"),
        )
    elif name == "i":
        what, compared_with = "`parquet` to a folder", "`curl -o`, `unzip`, then DuckDB's `COPY`"
        ours, theirs = lambda: sides.ours(csv_bytes, "parquet"), lambda: _with_duckdb(sides, fetch)
    elif name == "j":
        what, compared_with = "`csv` to a folder", "the same without counting rows"
        ours, theirs = lambda: sides.ours(csv_bytes, "csv"), lambda: sides.ours(csv_bytes, "csv", counted=False)
    else:
        what, compared_with = "`archive` to S3", "`curl`, `aws s3 cp`"
        ours = lambda: sides.ours(csv_bytes, "archive", to_s3=True)  # noqa: E731
        theirs = lambda: _with_aws(sides, fetch)  # noqa: E731
    usages: list[tuple[Usage, Usage]] = []
    for number in range(rounds + 1):
        pair = {}
        for side in (ours, theirs) if number % 2 else (theirs, ours):
            pair[side] = side()
            sides.clear()
        if number:  # the first round only warms up the caches
            usages.append((pair[ours], pair[theirs]))
    gigabytes = export_file(csv_bytes).size / 1e9
    ratios = [their.seconds / our.seconds for our, their in usages]
    return Comparison(
        name,
        what,
        compared_with,
        gigabytes,
        statistics.median(our.seconds for our, _ in usages),
        statistics.median(their.seconds for _, their in usages),
        statistics.median(ratios),
        ratios,
        statistics.median(our.cpu for our, _ in usages) / gigabytes,
        statistics.median(their.cpu for _, their in usages) / gigabytes,
        goal,
    )


def _with_aws(sides: Sides, fetch: str) -> Usage:
    aws = aws_program()
    start = sides.commands(f"{aws} --version")
    sides.clear()
    usage = sides.commands(fetch, f"{aws} s3 cp --only-show-errors export.zip s3://{BUCKET}/theirs-{sides.turn}.zip")
    return Usage(usage.seconds - start.seconds, usage.cpu - start.cpu)


def _with_duckdb(sides: Sides, fetch: str) -> Usage:
    start = sides.commands(f"{sys.executable} -c 'import duckdb'")
    sides.clear()
    read = "FROM read_csv('*.csv', all_varchar=true, header=true)"
    copy = f"COPY ({read}) TO 'export.parquet' (FORMAT parquet, COMPRESSION zstd)"
    program = f'{sys.executable} -c "import duckdb; duckdb.sql(\\"{copy}\\")"'
    usage = sides.commands(fetch, "unzip -q export.zip", program)
    return Usage(usage.seconds - start.seconds, usage.cpu - start.cpu)


def compare_memory(sides: Sides, sizes: list[int]) -> list[Memory]:
    """Measure the peak memory while storing to S3, for each size of the archive or the CSV file in MB."""
    rows = []
    for megabytes in sizes:
        csv_bytes = csv_bytes_of(megabytes)
        ours = sides.ours(csv_bytes, "archive", to_s3=True)
        sides.clear()
        theirs = None
        # It keeps the whole body in memory, and for a short time two copies of it.
        if psutil.virtual_memory().available > megabytes * 2.4e6:
            theirs = sides.http_to_s3(csv_bytes)
            sides.clear()
        rows.append(Memory("archive", megabytes, ours.peak - ours.base, theirs.peak - theirs.base if theirs else None))
    for megabytes in sizes:
        ours = sides.ours(megabytes * 1_000_000, "parquet", to_s3=True)
        sides.clear()
        rows.append(Memory("parquet", megabytes, ours.peak - ours.base, None))
    return rows
