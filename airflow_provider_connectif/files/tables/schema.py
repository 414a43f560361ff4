# SPDX-License-Identifier: Apache-2.0
"""What changed in the columns between two exports."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict

from airflow_provider_connectif.files.tables.names import distinct_names, shortened


class SchemaChange(TypedDict):
    """What changed in one file; a list or dict is empty where nothing did."""

    #: The file within the export: ``""`` for the main one.
    part: str
    added: list[str]
    removed: list[str]
    #: The new name by the old one.
    renamed: dict[str, str]
    #: Columns that are in another place among those that stayed.
    moved: list[str]


#: Compares an export, as its manifest describes it, and its columns by part, with those of an earlier one.
CheckColumns = Callable[[Mapping[str, Any], Mapping[str, Sequence[str] | None]], list[SchemaChange]]


def schema_changes(
    before: Mapping[str, Sequence[str] | None], after: Mapping[str, Sequence[str] | None]
) -> list[SchemaChange]:
    """
    Compare the columns of two exports.

    A file that only one of them has, or whose columns are not known, is not compared: an export may have no such
    file, since nothing of that kind happened.

    :param before: the columns by part, of the earlier export
    :param after: the columns by part, of the later one
    :return: the parts that changed
    """
    changes = []
    for part in sorted(before.keys() & after.keys()):
        old, new = before[part], after[part]
        if old and new and (change := _compare(part, distinct_names(old)[0], distinct_names(new)[0])):
            changes.append(change)
    return changes


def _compare(part: str, old: list[str], new: list[str]) -> SchemaChange | None:
    if old == new:
        return None
    in_old, in_new = set(old), set(new)
    positions = {name: index for index, name in enumerate(old)}
    kept = [name for name in new if name in in_old]
    unmoved = {kept[index] for index in _longest_increasing([positions[name] for name in kept])}
    renamed = _renamed(old, new, unmoved)
    names = set(renamed.values())
    return {
        "part": part,
        "added": [name for name in new if name not in in_old and name not in names],
        "removed": [name for name in old if name not in in_new and name not in renamed],
        "renamed": renamed,
        "moved": [name for name in kept if name not in unmoved],
    }


def _renamed(old: list[str], new: list[str], unmoved: set[str]) -> dict[str, str]:
    """
    Return the columns that plainly have another name now.

    Between the same neighbours as many columns are gone as are new; and these neighbours are on both sides, or at the
    table's edge, where columns come and go, the names are alike.
    """
    renamed: dict[str, str] = {}
    old_runs, new_runs = _runs(old, unmoved), _runs(new, unmoved)
    in_old, in_new = set(old), set(new)
    for gone, come in zip(old_runs, new_runs, strict=True):
        gone_names = [name for name in gone[1] if name not in in_new]
        come_names = [name for name in come[1] if name not in in_old]
        if len(gone_names) == len(come_names):
            for was, now in zip(gone_names, come_names, strict=True):
                if gone[0] or _alike(was, now):
                    renamed[was] = now
    return renamed


def _runs(names: list[str], fixed: set[str]) -> list[tuple[bool, list[str]]]:
    """Return the columns between those that stayed, and whether one of these is on both sides."""
    runs: list[list[str]] = [[]]
    for name in names:
        if name in fixed:
            runs.append([])
        else:
            runs[-1].append(name)
    return [(0 < index < len(runs) - 1, run) for index, run in enumerate(runs)]


def _alike(one: str, other: str) -> bool:
    """Return whether two names have a word in common: ``name`` and ``firstName`` have."""
    return bool(_words(one) & _words(other))


def _words(name: str) -> set[str]:
    return {word.casefold() for word in re.findall(r"[^\W\d_]?[^\WA-Z\d_]+|[^\W\d_]+|\d+", name)}


def _longest_increasing(numbers: Sequence[int]) -> list[int]:
    """Return the indexes of a longest increasing subsequence."""
    tails: list[int] = []
    ends: list[int] = []
    previous: list[int] = []
    for index, number in enumerate(numbers):
        length = bisect.bisect_left(tails, number)
        tails[length : length + 1] = [number]
        ends[length : length + 1] = [index]
        previous.append(ends[length - 1] if length else -1)
    found: list[int] = []
    index = ends[-1] if ends else -1
    while index >= 0:
        found.append(index)
        index = previous[index]
    return found[::-1]


def describe_changes(changes: Iterable[Mapping[str, Any]], *, export_type: str | None = None) -> str:
    """
    Return a sentence for the log: what changed, and for contacts what often is the reason.

    :param changes: what :func:`schema_changes` returned, with a change at least
    :param export_type: the export's type
    """
    described = "; ".join(_described(change) for change in changes)
    if export_type == "contacts":
        described += (
            ". A contact field that is added to the store or deleted adds or removes a column, whatever the version of "
            "the export"
        )
    return f"The columns differ from those of the previous export: {described}."


def _described(change: Mapping[str, Any]) -> str:
    facts = [f"{what} {_listed(change[what])}" for what in ("added", "removed") if change[what]]
    if change["renamed"]:
        facts.append("renamed " + shortened([f"{was!r} to {now!r}" for was, now in change["renamed"].items()]))
    if change["moved"]:
        facts.append(f"moved {_listed(change['moved'])}")
    return (f"in {change['part']!r}: " if change["part"] else "") + ", ".join(facts)


def _listed(names: Iterable[str]) -> str:
    return shortened([repr(name) for name in names])
