# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with the Exports API, at a glance.

::

    ConnectifError
    ├── InvalidArgument        ours: an argument is wrong; nothing was sent            (final)
    ├── InvalidConnection      ours: the key or the base URL is unusable; nothing sent (final)
    ├── ApiError               theirs: the API's answer, or its silence
    │   ├── Refused            a clear no; asking again brings the same                (final)
    │   │   ├── AuthenticationFailed   401
    │   │   ├── PermissionDenied       403
    │   │   ├── NotFound               404
    │   │   └── RequestRejected        400, 415, 422 and every other 4xx
    │   ├── UnexpectedResponse   no JSON, a wrong shape, a link that leads elsewhere     (final)
    │   └── Unavailable        may pass: worth another try
    │       ├── RateLimited            429
    │       ├── ServerError            5xx
    │       └── ConnectionProblem      no answer: timeout, broken or refused connection
    ├── CreationUnknown        a creation was sent, and nobody can say what became of it
    ├── ExportFailed           the vendor could not make this export                   (final)
    └── WaitTimeout            the exports were not finished before the deadline       (final)

No text of any of them carries the API key or the address of a file.
"""

from __future__ import annotations

from typing import ClassVar


class ConnectifError(Exception):
    """The root: every error of this package's API client is one of these."""

    final: ClassVar[bool] = True
    """True where doing the same again cannot help."""


class InvalidArgument(ConnectifError, ValueError):
    """An argument is wrong.

    :param argument: the argument's name, as the caller wrote it.
    :param problem: what is wrong with it, and what would be right.
    """

    def __init__(self, argument: str, problem: str) -> None:
        super().__init__(f"{argument}: {problem}")
        self.argument = argument
        self.problem = problem

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.argument, self.problem)


class InvalidConnection(ConnectifError, ValueError):
    """The connection's key or base URL cannot be used."""


class ApiError(ConnectifError):
    """The API's answer, or its silence.

    :param message: words for a DAG author.
    :param status: the HTTP status; None where there was no answer.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Refused(ApiError):
    """A clear no."""


class AuthenticationFailed(Refused):
    """401: the key is missing, wrong or revoked."""


class PermissionDenied(Refused):
    """403: the key lacks a scope, or the account is blocked."""


class NotFound(Refused):
    """404: no such export."""


class RequestRejected(Refused):
    """400, 415, 422 and other 4xx: the request itself is not accepted."""


class UnexpectedResponse(ApiError):
    """An answer that is not the API's: HTML, a wrong shape, a link to another host."""


class Unavailable(ApiError):
    """No useful answer now; a later try may get one."""

    final = False


class RateLimited(Unavailable):
    """429: too many requests.

    :param retry_after: seconds that the API asked to wait; None where it did not say.
    """

    def __init__(self, message: str, *, status: int | None = 429, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class ServerError(Unavailable):
    """5xx: the API failed on its own side.

    :param retry_after: seconds that the API asked to wait; None where it did not say.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class ConnectionProblem(Unavailable):
    """No answer: a timeout, or a broken or refused connection.

    :param sent: False where the request surely never left (no connection was made).
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class CreationUnknown(ConnectifError):
    """A creation was sent and its fate is unknown: it must be looked up before it is sent again."""

    final = False


class ExportFailed(ConnectifError):
    """The vendor could not make this export.

    :param export_id: the export's id.
    :param status: its status, as the API reports it.
    """

    def __init__(self, export_id: str, status: str) -> None:
        super().__init__(
            f"Export {export_id} ended with status {status!r} at Connectif's side. "
            "A new export may succeed; if it fails again, look at it in the Connectif application."
        )
        self.export_id = export_id
        self.status = status

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.export_id, self.status)


class WaitTimeout(ConnectifError):
    """The exports were not finished before the deadline.

    :param description: what was waited for, and its progress
    :param timeout: seconds
    """

    def __init__(self, description: str, timeout: float) -> None:
        super().__init__(
            f"Timed out after {timeout:.0f} s while waiting for {description}. "
            "Increase timeout, or check the export in the Connectif application."
        )
        self.description = description
        self.timeout = timeout

    def __reduce__(self) -> tuple[type, tuple[str, float]]:
        return type(self), (self.description, self.timeout)
