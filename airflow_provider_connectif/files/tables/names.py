# SPDX-License-Identifier: Apache-2.0
"""Names that tell things apart: the columns of a table, the files of an export."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence


def distinct_names(names: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """
    Number the names that occur more than once, from the second time on.

    :return: the distinct names in order, and those that were numbered with what they were: ``["a", "a_2"]`` and
        ``{"a_2": "a"}``
    """
    names = list(names)
    taken, numbers = set(names), dict.fromkeys(names, 1)
    distinct: list[str] = []
    renamed: dict[str, str] = {}
    seen: set[str] = set()
    for name in names:
        found = name
        if name in seen:
            while found in taken:
                numbers[name] += 1
                found = f"{name}_{numbers[name]}"
            taken.add(found)
            renamed[found] = name
        seen.add(name)
        distinct.append(found)
    return distinct, renamed


#: Names in a message, which may be about thousands of columns.
_MOST_NAMES = 20


def shortened(names: Sequence[str]) -> str:
    """Return a list of names for a message, with only the number of those that would make it too long."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
#: What differs from export to export: ids and dates.
_CHANGING = re.compile(
    _UUID.pattern + r"|(?<![0-9a-z])(?:[0-9a-f]{24}|[0-9a-f]{32}|[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8,})(?![0-9a-z])"
)
_SEPARATORS = re.compile(r"[\s\-_.()]+")
_EXTENSIONS = (".gz", ".csv", ".txt", ".parquet")


def part_names(files: Sequence[str]) -> list[str]:
    """
    Return what tells the files of one export apart, the same for every export of that type.

    It is what follows the UUID in a file's name: nothing for ``export-activities-{uuid}.csv``, ``products`` for
    ``export-activities-{uuid}-products.csv``. If some file's name has no UUID, or two have the same words after it, it
    is the words that the files do not have in common at their beginning, without ids and dates. A single file without
    a UUID in its name has the part ``""``. Parts that are still the same are numbered, in the order of the names.

    :param files: the names of all files of the export, as the archive has them
    """
    stems = [_stem(name) for name in files]
    found = [list(_UUID.finditer(stem)) for stem in stems]
    parts = ["-".join(_words(stem[each[-1].end() :])) if each else "" for stem, each in zip(stems, found, strict=True)]
    if len(files) > 1 and (not all(found) or len(set(parts)) < len(parts)):
        words = [_words(_CHANGING.sub(" ", stem)) for stem in stems]
        common = sum(1 for _ in itertools.takewhile(lambda each: len(set(each)) == 1, zip(*words, strict=False)))
        parts = ["-".join(each[common:]) for each in words]
    return _numbered(parts, files)


def _stem(name: str) -> str:
    stem = name.replace("\\", "/").rpartition("/")[2].casefold()
    for extension in _EXTENSIONS:
        stem = stem.removesuffix(extension)
    return stem


def _words(text: str) -> list[str]:
    return [word for word in _SEPARATORS.split(text) if word]


def _numbered(parts: list[str], files: Sequence[str]) -> list[str]:
    distinct = list(parts)
    taken = set(parts)
    seen: set[str] = set()
    for index in sorted(range(len(parts)), key=lambda index: (files[index], index)):
        part, number = parts[index], 1
        while distinct[index] in seen:
            number += 1
            candidate = f"{part}-{number}" if part else str(number)
            if candidate not in taken:
                distinct[index] = candidate
                taken.add(candidate)
        seen.add(distinct[index])
    return distinct
