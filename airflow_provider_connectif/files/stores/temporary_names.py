# SPDX-License-Identifier: Apache-2.0
"""Names of the hidden files that an object is written to before it is renamed."""

from __future__ import annotations

import uuid

PREFIX = ".connectif-"
SUFFIX = ".part"


def temporary_name(owner: str = "") -> str:
    """Return a new name.

    :param owner: what the name shall show about its writer, such as its machine
    """
    return f"{PREFIX}{owner}{'-' if owner else ''}{uuid.uuid4().hex}{SUFFIX}"


def is_temporary(name: str, owner: str = "") -> bool:
    """Return whether it is such a name, and that of ``owner`` if there is one."""
    return name.startswith(f"{PREFIX}{owner}-" if owner else PREFIX) and name.endswith(SUFFIX)
