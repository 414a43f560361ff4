# SPDX-License-Identifier: Apache-2.0
"""The vendor's file names: a title, followed by dates and an identifier."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

# Eight digits that do not form a date belong to the title.
_DATE = r"-(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_APPENDED = re.compile(
    rf"(?:{_DATE}){{0,2}}-[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}(?:-products)?$|(?:{_DATE}){{1,2}}$"
)


def without_extension(file_name: str, extension: str | None = None) -> str:
    """Return a file name without its extension, such as ``.zip`` or ``.csv.gz``.

    :param file_name: the vendor's file name
    :param extension: the extension that the vendor reports separately, if any
    """
    reported = [f".{extension.lower().lstrip('.')}"] if extension else []
    for suffix in [*reported, ".zip", ".gz", ".csv"]:
        if file_name.lower().endswith(suffix):
            file_name = file_name[: -len(suffix)]
    return file_name


def title_of(file_name: str, extension: str | None = None) -> str:
    """Return a file name without its extension, dates and identifier, in lower case.

    :param file_name: such as ``purchases-20230326-20230425-6ba7b810-9dad-41d1-80b4-00c04fd430c8.zip``
    :param extension: the extension that the vendor reports separately, if any
    """
    return _APPENDED.sub("", without_extension(file_name, extension).casefold())


def has_name(file_name: str | None, pattern: str) -> bool:
    """Return whether a file has a name. Case is ignored, because the API itself changes it.

    :param file_name: the vendor's file name; ``None`` if the API does not report one
    :param pattern: the whole name or the title; ``*`` matches any string and ``?`` any character
    """
    if file_name is None:
        return False
    pattern = pattern.strip().casefold()
    name = file_name.casefold()
    return any(each == pattern or fnmatchcase(each, pattern) for each in (name, title_of(name)))
