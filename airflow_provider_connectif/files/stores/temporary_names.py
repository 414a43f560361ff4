# SPDX-License-Identifier: Apache-2.0
"""Names of the hidden files that an object is written to before it is renamed."""

from __future__ import annotations

import uuid

PREFIX = ".connectif-"
SUFFIX = ".part"


#: The beginning of the names for objects that are staged, which only the one writer of a folder does.
_STAGED_PREFIX = f"{PREFIX}upload-"


def temporary_name(*, staged: bool) -> str:
    """Return a new name.

    :param staged: True for an object that is staged, False for a small one that any writer may put at any time
    """
    return f"{_STAGED_PREFIX if staged else PREFIX}{uuid.uuid4().hex}{SUFFIX}"


def is_temporary(name: str) -> bool:
    """Return whether it is such a name."""
    return name.startswith(PREFIX) and name.endswith(SUFFIX)


def is_staged(name: str) -> bool:
    """Return whether it is the name for a staged object."""
    return name.startswith(_STAGED_PREFIX) and name.endswith(SUFFIX)
