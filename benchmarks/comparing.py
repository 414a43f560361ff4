# SPDX-License-Identifier: Apache-2.0
"""The comparisons: rounds of both sides in turn."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from benchmarks.sides import BUCKET, Sides, Took, aws_program, csv_bytes_of
from benchmarks.source import export_file


@dataclass
class Comparison:
    """One row: medians of the rounds.

    :param gigabytes: of the file that is downloaded.
    :param ratio: how many times as fast as the other side.
    :param ours_cpu: seconds of the processor for each GB that is downloaded.
    """

    name: str
    what: str
    beside: str
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
    """Most MB above the import, for an archive of so many MB; None where it was not measured."""

    megabytes: int
    ours: float
    theirs: float | None


def compare(sides: Sides, name: str, megabytes: int, rounds: int, goal: float) -> Comparison:
    """Measure one row.

    :param megabytes: of the archive, where it is stored as it is; of the CSV, where that is unpacked.
    """
    csv_bytes = csv_bytes_of(megabytes) if name in "adg" else megabytes * 1_000_000
    fetch = f"curl -sS --fail -o export.zip {sides.address(csv_bytes)}"
    ours: Callable[[], Took]
    theirs: Callable[[], Took]
    if name == "a":
        what, beside = "`archive` to a folder", "`curl -o`"
        ours, theirs = lambda: sides.ours(csv_bytes, "archive"), lambda: sides.commands(fetch)
    elif name == "b":
        what, beside = "`csv` to a folder", "`curl -o`, then `unzip`"
        ours, theirs = lambda: sides.ours(csv_bytes, "csv"), lambda: sides.commands(fetch, "unzip -q export.zip")
    elif name == "c":
        what, beside = "`csv.gz` to a folder", "`curl`, `funzip`, `gzip`"
        pipe = f"curl -sS --fail {sides.address(csv_bytes)} | funzip | gzip > export.csv.gz"
        ours, theirs = lambda: sides.ours(csv_bytes, "csv.gz"), lambda: sides.commands(pipe)
    elif name == "g":
        what, beside = "`archive` to a folder", "`curl -o`, `openssl`"
        ours, theirs = (
            lambda: sides.ours(csv_bytes, "archive"),
            lambda: sides.commands(fetch, "openssl dgst -sha256 export.zip"),
        )
    else:
        what, beside = "`archive` to S3", "`curl`, `aws s3 cp`"
        ours = lambda: sides.ours(csv_bytes, "archive", to_s3=True)  # noqa: E731
        theirs = lambda: _with_aws(sides, fetch)  # noqa: E731
    took: list[tuple[Took, Took]] = []
    for number in range(rounds + 1):
        pair = {}
        for side in (ours, theirs) if number % 2 else (theirs, ours):
            pair[side] = side()
            sides.clear()
        if number:  # the first warms caches up
            took.append((pair[ours], pair[theirs]))
    gigabytes = export_file(csv_bytes).size / 1e9
    ratios = [their.seconds / our.seconds for our, their in took]
    return Comparison(
        name,
        what,
        beside,
        gigabytes,
        statistics.median(our.seconds for our, _ in took),
        statistics.median(their.seconds for _, their in took),
        statistics.median(ratios),
        ratios,
        statistics.median(our.cpu for our, _ in took) / gigabytes,
        statistics.median(their.cpu for _, their in took) / gigabytes,
        goal,
    )


def _with_aws(sides: Sides, fetch: str) -> Took:
    aws = aws_program()
    start = sides.commands(f"{aws} --version")
    sides.clear()
    took = sides.commands(fetch, f"{aws} s3 cp --only-show-errors export.zip s3://{BUCKET}/theirs-{sides.turn}.zip")
    return Took(took.seconds - start.seconds, took.cpu - start.cpu)


def compare_memory(sides: Sides, sizes: list[int]) -> list[Memory]:
    """Measure the peak of memory on the way to S3, by the size of the archive in MB."""
    rows = []
    for megabytes in sizes:
        csv_bytes = csv_bytes_of(megabytes)
        ours = sides.ours(csv_bytes, "archive", to_s3=True)
        sides.clear()
        theirs = None
        # It holds the whole body, and for a moment twice.
        if psutil.virtual_memory().available > megabytes * 2.4e6:
            theirs = sides.http_to_s3(csv_bytes)
            sides.clear()
        rows.append(Memory(megabytes, ours.peak - ours.base, theirs.peak - theirs.base if theirs else None))
    return rows
