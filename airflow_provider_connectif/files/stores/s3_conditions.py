# SPDX-License-Identifier: Apache-2.0
"""Conditional requests to S3: which stores honour them, and how a refusal is recognized.

Amazon S3 honours ``If-None-Match`` and ``If-Match``. Of the compatible stores, some do, some refuse such requests, and
some silently ignore the condition. The last kind is found only by trying.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_connectif.files.stores.errors import VersionConflict
from airflow_provider_connectif.files.stores.temporary_names import temporary_name

if TYPE_CHECKING:
    from airflow_provider_connectif.files.stores.s3 import S3Store

#: The ends of the host names of Amazon's own S3: https://docs.aws.amazon.com/general/latest/gr/s3.html
_AMAZON = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu")

#: An ETag that no object has.
_NO_ETAG = f'"{"0" * 32}"'

_NOT_MET = ("PreconditionFailed", "ConditionalRequestConflict", "412")
_NOT_SUPPORTED = ("NotImplemented", "InvalidArgument", "InvalidRequest", "MethodNotAllowed", "501", "400", "405")

#: What was found out in this process, by endpoint and bucket.
_known: dict[tuple[str, str], bool] = {}


def are_honoured(store: S3Store) -> bool:
    """Return whether a store honours conditional requests; asks it up to four requests, once in a process."""
    store.fs.connect()
    client = store.fs.s3
    # The client knows the endpoint from wherever it is configured: the connection, the environment, or a profile.
    endpoint = str(client.meta.endpoint_url)
    if not _knows_conditions(client):
        return False
    if (urlsplit(endpoint).hostname or "").endswith(_AMAZON):
        return True
    key = (endpoint, store.bucket)
    if key not in _known:
        _known[key] = _try_conditions(store)
    return _known[key]


@contextlib.contextmanager
def version_conflicts(name: str, condition: Mapping[str, Any]) -> Iterator[None]:
    """Raise ``VersionConflict`` instead of the errors for a condition that is not met.

    :param condition: the arguments of the request, ``IfMatch`` or ``IfNoneMatch``; none for a request without
    """
    try:
        yield
    except FileNotFoundError as error:
        if "IfMatch" in condition:
            raise VersionConflict(f"{name} does not exist") from error
        raise
    except OSError as error:
        if condition and _error_code(error) in _NOT_MET:
            raise VersionConflict(f"{name} has another version") from error
        raise


def is_not_supported(error: BaseException) -> bool:
    """Return whether a store has refused a request because it does not implement it."""
    return _error_code(error) in _NOT_SUPPORTED


def _knows_conditions(client: Any) -> bool:
    """Return whether the client library sends conditions: ``s3fs`` drops arguments that the library does not know."""
    known = {
        operation: client.meta.service_model.operation_model(operation).input_shape.members
        for operation in ("PutObject", "DeleteObject")
    }
    return {"IfMatch", "IfNoneMatch"} <= known["PutObject"].keys() and "IfMatch" in known["DeleteObject"]


def _try_conditions(store: S3Store) -> bool:
    """Return whether the store refuses to create an object under conditions that are not met."""
    name = temporary_name(staged=False)
    must_be_deleted = True
    try:
        if not _is_refused(store, name, {"IfMatch": _NO_ETAG}):
            return False
        # No one else uses this name: the first of these is refused only if the client repeats it after a lost response.
        _is_refused(store, name, {"IfNoneMatch": "*"})
        return _is_refused(store, name, {"IfNoneMatch": "*"})
    except OSError as error:
        if is_not_supported(error):
            must_be_deleted = False
            return False
        raise
    finally:
        if must_be_deleted:
            with contextlib.suppress(OSError):
                store.call("delete_object", name)


def _is_refused(store: S3Store, name: str, condition: dict[str, str]) -> bool:
    try:
        with version_conflicts(name, condition):
            store.call("put_object", name, Body=b"", **condition)
    except VersionConflict:
        return True
    return False


def _error_code(error: BaseException | None) -> str | None:
    """Return the store's own code of an error that ``s3fs`` has translated."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            code = response.get("Error", {}).get("Code")
            return str(code) if code else None
        error = error.__cause__
    return None
