# SPDX-License-Identifier: Apache-2.0
"""Why a request got no response: the exceptions of ``requests`` as typed errors, with words for the usual mistakes.

The messages of these exceptions contain what was sent, so none of them is passed on.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from typing import TypeVar

from airflow_provider_connectif.api.errors import ConnectifError, ConnectionProblem, InvalidConnection

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
# What OpenSSL says if the server does not speak TLS.
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
_CERTIFICATE_EXPIRED = 10

_Error = TypeVar("_Error", bound=ConnectifError)


def name_connection(error: _Error, name: str | None, base_url: str | None = None) -> _Error:
    """Add the connection to an error's message.

    :param error: an error whose only argument is its message
    :param name: the id of the Airflow connection; empty if it has none, and ``None`` leaves the message as it is
    :param base_url: the connection's base URL, if it is known
    """
    parts = [f"connection {name}"] if name else []
    if base_url is not None and name is not None and base_url not in str(error):
        parts.append(f"Host {base_url}")
    if parts:
        error.args = (f"{error} [{', '.join(parts)}]",)
    return error


def error_from_exception(error: Exception, *, base_url: str, timeout: float) -> ConnectifError:
    """Return the error for an exception of ``requests``.

    :param error: the exception
    :param base_url: where the request was sent
    :param timeout: seconds for which a response was awaited
    """
    import requests

    if isinstance(error, requests.ConnectTimeout):
        return ConnectionProblem(f"Could not connect to {base_url} in time.", sent=False)
    if isinstance(error, requests.Timeout):
        return ConnectionProblem(f"No response from {base_url} within {timeout:g} s.")
    if isinstance(error, requests.exceptions.ProxyError):
        return ConnectionProblem(
            f"No connection to {base_url}: the proxy that {_variable(_PROXY_VARIABLES)} names does not let it pass "
            f"({_reason(error)}). Correct the variable, or add the host to NO_PROXY.",
            sent=not _failed_to_connect(error),
        )
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError) and (problem := _tls_problem(cause, base_url)):
            return problem
    if isinstance(error, requests.ConnectionError):
        return ConnectionProblem(
            f"No connection to {base_url}: {_reason(error)}.",
            sent=not _failed_to_connect(error),
        )
    if type(error) is OSError and "certificate" in str(error):
        # requests looks for the certificates before it connects, and raises this if they are missing.
        return _certificates_missing()
    return ConnectionProblem(f"The connection to {base_url} failed: {_reason(error)}.")


def _tls_problem(error: ssl.SSLError, base_url: str) -> InvalidConnection | None:
    """Return the error for a TLS connection that can never work with this setup; None if the problem may pass."""
    if error.reason in _NOT_TLS:
        return InvalidConnection(
            f"The server at {base_url} does not speak https, but probably plain http: correct Host, or use "
            "http:// for a server on this machine."
        )
    if error.reason in ("NO_CERTIFICATE_OR_CRL_FOUND", "PEM_LIB", "NO_START_LINE"):
        return _certificates_missing()
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code != _CERTIFICATE_EXPIRED:
        reason = error.verify_message.rstrip(".")
        return InvalidConnection(
            f"The certificate of {base_url} is not trusted: {reason}. Correct Host, or, if a private certificate "
            "authority has signed it, let REQUESTS_CA_BUNDLE name a file with the authority's certificate "
            "on every machine that runs Airflow."
        )
    return None


def _certificates_missing() -> InvalidConnection:
    name = _variable(_CA_VARIABLES)
    return InvalidConnection(
        f"The file of trusted certificates that {name} names does not exist or contains no certificate: "
        f"{os.environ.get(name, 'certifi')}. Correct the variable on every machine that runs Airflow, or remove it."
    )


def _variable(names: tuple[str, ...]) -> str:
    """Return which of these environment variables is set."""
    found = (name for each in names for name in (each, each.lower()) if os.environ.get(name))
    return next(found, names[0])


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what caused it, as far as requests and urllib3 keep it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        inner = cause.__cause__ or cause.__context__ or getattr(cause, "reason", None)
        if inner is None and cause.args and isinstance(cause.args[0], BaseException):
            inner = cause.args[0]
        cause = inner if isinstance(inner, BaseException) else None


def _reason(error: BaseException) -> str:
    """Return the innermost cause without the messages of requests and urllib3, which contain URLs."""
    name = type(error).__name__
    for cause in list(_causes(error))[1:]:
        if isinstance(cause, OSError) and cause.strerror and not hasattr(cause, "request"):
            return cause.strerror
        name = type(cause).__name__
    return name


def _failed_to_connect(error: BaseException) -> bool:
    """Return whether no connection was established, so that nothing can have been received."""
    from urllib3.exceptions import NewConnectionError

    inner = error.args[0] if error.args else None
    reason = getattr(inner, "reason", inner)
    return isinstance(reason, NewConnectionError)
