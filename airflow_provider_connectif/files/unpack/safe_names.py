# SPDX-License-Identifier: Apache-2.0
"""
File names that are safe in every object store and file system, and unique.

A name is the last part of the member's path. Accents, spaces and punctuation are kept unless they have a special
meaning in a store, shell pattern or file system.
"""

from __future__ import annotations

import re
import unicodedata

from airflow_provider_connectif.files.object_names import is_reserved_name

#: Most file systems allow 255 bytes for a name; the rest is reserved for suffixes of temporary names.
MAX_BYTES = 200

# `<>:"|?*` are special in Windows, `?*[]` in file patterns, `#%` in URLs.
_REPLACED = str.maketrans({"[": "(", "]": ")", '"': "'", **dict.fromkeys("<>:|?*#%", "_")})
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)


def safe_name(source: str, extension: str) -> str:
    """
    Return a safe name for an object, derived from an untrusted name.

    :param source: any text, perhaps with folders, a drive letter or control characters
    :param extension: the extension of the result, such as ``.csv``; not added twice
    """
    return _fit(_stem(source, extension), "", extension)


class UniqueNames:
    """Unique safe names, also for file systems where ``A`` and ``a``, or two encodings of ``é``, are the same."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        #: The next number to try, by what the numbered names have in common: otherwise each of many equal names would
        #: try all numbers.
        self._next: dict[str, int] = {}

    def add(self, source: str, extension: str) -> str:
        """
        Return a safe name that was not returned before, numbered if necessary.

        :param source: as for :func:`safe_name`
        :param extension: as for :func:`safe_name`
        """
        stem = _stem(source, extension)
        name = _fit(stem, "", extension)
        if _key(name) in self._taken:
            series = _key(_fit(stem, "-00000", extension))
            number = self._next.get(series, 2)
            while _key(name := _fit(stem, f"-{number}", extension)) in self._taken:
                number += 1
            self._next[series] = number + 1
        self._taken.add(_key(name))
        return name


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _stem(source: str, extension: str) -> str:
    base = re.split(r"[/\\]", source.rstrip("/\\"))[-1]
    if re.match(r"[A-Za-z]:", base):
        base = base[2:]
    base = "".join(_printable(character) for character in base).translate(_REPLACED)
    # Neither `.csv.gz` nor its first part `.csv` may be there twice, and a file that is not compressed is no `.gz`.
    first = "." + extension.split(".")[1]
    for suffix in (extension, first + ".gz", ".gz", first):
        if base.lower().endswith(suffix):
            base = base[: -len(suffix)]
            break
    # Hidden files begin with a dot; Windows removes dots and spaces at the end.
    base = base.strip(" ").lstrip(".").strip(" ").rstrip(". ")
    if is_reserved_name(base):
        base = base.lstrip("_")
    if _DEVICES.match(base):
        base = "_" + base
    return base or "file"


def _printable(character: str) -> str:
    category = unicodedata.category(character)
    if category.startswith("Z"):
        return " "
    # Control and format characters (right-to-left override, zero width), surrogates, private use, unassigned
    return "_" if category.startswith("C") else character


def _fit(stem: str, number: str, extension: str) -> str:
    available = MAX_BYTES - len((number + extension).encode())
    truncated = stem.encode()[:available].decode(errors="ignore").rstrip(". ")
    return (truncated or "file") + number + extension
