# SPDX-License-Identifier: Apache-2.0
"""
Names that are safe in every object store and file system, and distinct from each other.

A name is the last part of the member's path; its accents, spaces and punctuation stay, as far as no store,
shell pattern or file system reads something else in them.
"""

from __future__ import annotations

import re
import unicodedata

#: Most file systems allow 255 bytes for a name; some is left for what a temporary name adds.
MAX_BYTES = 200
#: The provider's own objects in a folder begin so.
RESERVED_PREFIX = "_connectif"

# `<>:"|?*` mean something to Windows, `?*[]` to file patterns, `#%` to addresses.
_REPLACED = str.maketrans({"[": "(", "]": ")", '"': "'", **dict.fromkeys("<>:|?*#%", "_")})
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)


def safe_name(source: str, extension: str) -> str:
    """
    Make an object's name from a name that somebody else chose.

    :param source: any text, perhaps with folders, a drive letter, or something worse.
    :param extension: what the name ends with, such as ``.csv``; not doubled when it is there already.
    """
    return _fit(_stem(source, extension), "", extension)


class Names:
    """Gives out distinct names, also for file systems that take ``A`` and ``a``, or two spellings of ``é``,
    for one."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def distinct(self, source: str, extension: str) -> str:
        """
        Make a safe name that was not given out before: a later one of the same name gets a number.

        :param source: as for :func:`safe_name`.
        :param extension: as for :func:`safe_name`.
        """
        stem = _stem(source, extension)
        name, number = _fit(stem, "", extension), 2
        while _key(name) in self._taken:
            name = _fit(stem, f"-{number}", extension)
            number += 1
        self._taken.add(_key(name))
        return name


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _stem(source: str, extension: str) -> str:
    base = re.split(r"[/\\]", source.rstrip("/\\"))[-1]
    if re.match(r"[A-Za-z]:", base):
        base = base[2:]
    base = "".join(_visible(character) for character in base).translate(_REPLACED)
    # An extension ends `.csv.gz` or just `.csv`: neither is to be there twice.
    first = "." + extension.split(".")[1]
    for ending in (extension, first):
        if base.lower().endswith(ending):
            base = base[: -len(ending)]
            break
    # Hidden files begin with a dot; Windows drops dots and spaces at the end.
    base = base.strip(" ").lstrip(".").strip(" ").rstrip(". ")
    if base.lower().startswith(RESERVED_PREFIX):
        base = base.lstrip("_")
    if _DEVICES.match(base):
        base = "_" + base
    return base or "file"


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category.startswith("Z"):
        return " "
    # Control and format characters (right-to-left overrides, zero widths), surrogates, private and unassigned
    # ones.
    return "_" if category.startswith("C") else character


def _fit(stem: str, number: str, extension: str) -> str:
    room = MAX_BYTES - len((number + extension).encode())
    cut = stem.encode()[:room].decode(errors="ignore").rstrip(". ")
    return (cut or "file") + number + extension
