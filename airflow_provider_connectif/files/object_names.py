# SPDX-License-Identifier: Apache-2.0
"""Rules for the names of objects in a folder."""

from __future__ import annotations

#: The provider's own objects have names that begin with one of the reserved prefixes: the manifest with the first,
#: hidden objects with the second. A file of an export never gets such a name.
HIDDEN_PREFIX = ".connectif"
RESERVED_PREFIXES = ("_connectif", HIDDEN_PREFIX)


def is_plain_name(name: object) -> bool:
    """Return whether ``name`` is a string that names an object in the folder itself, not in a folder below or above."""
    return isinstance(name, str) and name not in ("", ".", "..") and "/" not in name


def is_reserved_name(name: str) -> bool:
    """Return whether ``name`` is reserved for the provider's own objects."""
    return name.lower().startswith(RESERVED_PREFIXES)
