# SPDX-License-Identifier: Apache-2.0
"""Format the results as tables, for a terminal or in Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from benchmarks.comparison import Comparison, Memory
from benchmarks.store_requests import GOALS, Requests

_HEAD = ("", "what", "compared with", "GB", "speedup", "rounds", "seconds", "CPU s/GB", "goal")
_MEMORY_HEAD = ("to S3", "size", "MB above imports", "HttpToS3Operator")
_REQUESTS_HEAD = ("small export to S3", "requests into an empty folder", "into a complete folder", "goals")


def plain(
    rows: Sequence[Comparison],
    memory: Sequence[Memory],
    details: Mapping[str, str] | None = None,
    requests: Sequence[Requests] = (),
) -> str:
    """Return the tables in aligned columns."""
    parts = [f"{name}: {value}" for name, value in _details(details).items()] if details is not None else []
    for head, cells in _tables(rows, memory, requests):
        lines = [head, *([cell.replace("`", "") for cell in row] for row in cells)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        parts.append("")
        parts += ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]  # noqa: B905
    return "\n".join(parts)


def markdown(
    rows: Sequence[Comparison],
    memory: Sequence[Memory],
    details: Mapping[str, str],
    requests: Sequence[Requests] = (),
) -> str:
    """Return the tables in Markdown."""
    parts = [f"- {name}: {value}" for name, value in _details(details).items()]
    for head, cells in _tables(rows, memory, requests):
        parts.append("")
        parts += [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *cells)]
    return "\n".join(parts)


def _details(details: Mapping[str, str]) -> dict[str, str]:
    return {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f}",
        **details,
    }


def _tables(
    rows: Sequence[Comparison], memory: Sequence[Memory], requests: Sequence[Requests]
) -> list[tuple[Sequence[str], list[list[str]]]]:
    tables: list[tuple[Sequence[str], list[list[str]]]] = []
    if rows:
        tables.append((_HEAD, [_cells(row) for row in rows]))
    if memory:
        found = [
            [
                f"`{each.file_format}`",
                f"{each.megabytes} MB",
                f"{each.ours:.0f}",
                "not measured" if each.theirs is None else f"{each.theirs:.0f}",
            ]
            for each in memory
        ]
        tables.append((_MEMORY_HEAD, found))
    if requests:
        goals = f"{GOALS[0]} and {GOALS[1]}"
        counts = [
            [each.server, str(each.empty), str(each.complete), goals + ("" if each.reached else " MISS")]
            for each in requests
        ]
        tables.append((_REQUESTS_HEAD, counts))
    return tables


def _cells(row: Comparison) -> list[str]:
    return [
        f"({row.name})",
        row.what,
        row.compared_with,
        f"{row.gigabytes:.2f}",
        f"{row.ratio:.1f}" if row.ratio >= 10 else f"{row.ratio:.2f}",
        f"{min(row.ratios):.2f} to {max(row.ratios):.2f}",
        f"{row.ours:.2f} / {row.theirs:.2f}",
        f"{row.ours_cpu:.1f} / {row.theirs_cpu:.1f}",
        f"{row.goal:.3g}{'' if row.ratio >= row.goal else ' MISS'}",
    ]
