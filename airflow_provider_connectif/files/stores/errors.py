# SPDX-License-Identifier: Apache-2.0
"""Translation of the errors that stores raise."""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Iterator

from airflow_provider_connectif.files.errors import DestinationError, FileError


class VersionConflict(FileExistsError):
    """An object does not have the version that a conditional write or deletion requires."""


@contextlib.contextmanager
def store_errors(action: str) -> Iterator[None]:
    """Raise a :class:`DestinationError`, which names the action, instead of whatever a store raises.

    The package's own errors, ``FileNotFoundError`` and ``FileExistsError`` are raised unchanged: they are results that
    the caller handles.
    """
    try:
        yield
    except Exception as error:
        _clear_frames(error)
        if isinstance(error, (FileError, FileNotFoundError, FileExistsError)):
            raise
        reason = str(error).strip() or "no reason given"
        # Some libraries quote the URL of a request, whose query may hold a token for the store.
        safe_reason = re.sub(r"\?[^\s'\"<>]+=[^\s'\"<>]*", "?…", reason)
        raise DestinationError(f"The destination failed while {action}: {type(error).__name__}: {safe_reason}") from (
            error if safe_reason == reason else None
        )


def _clear_frames(error: BaseException) -> None:
    """Clear the local variables in the frames of an error's traceback.

    Otherwise a part of several megabytes lives as long as the error does. In gcsfs it is a view of a ``BytesIO``, and
    Python 3.12.0 and 3.12.1 crash when they collect one as garbage (https://github.com/python/cpython/issues/111049).
    """
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        each = pending.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            traceback.clear_frames(each.__traceback__)
            pending += [each.__cause__, each.__context__]
