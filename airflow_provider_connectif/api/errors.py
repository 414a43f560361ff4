# SPDX-License-Identifier: Apache-2.0
"""The errors of the Exports API.

::

    ConnectifError
    ├── InvalidArgument          an argument is wrong; nothing was sent                     (final)
    ├── InvalidConnection        the API key or the base URL cannot be used; nothing was sent (final)
    ├── ConnectionUnusable       the connection is missing or invalid where it is needed
    ├── ApiError                 the API's response, or the lack of one
    │   ├── Refused              the API's own refusal; a retry would be refused as well     (final)
    │   │   ├── AuthenticationFailed   401
    │   │   ├── PermissionDenied       403
    │   │   ├── NotFound               404
    │   │   └── RequestRejected        400, 415, 422 and every other 4xx
    │   └── Unavailable          may pass: worth a retry
    │       ├── RateLimited            429
    │       ├── ServerError            5xx
    │       ├── ConnectionProblem      no response: a timeout, a broken or refused connection
    │       └── UnexpectedResponse     not JSON, an unexpected structure, a link to another host
    ├── CreationOutcomeUnknown   an export was requested, and it is unknown whether it was created
    ├── ExportFailed             the vendor could not create this export                     (final)
    └── WaitTimeout              the exports were not finished in time                       (final)

None of their messages contains the API key or the signed URL of a file.
"""

from __future__ import annotations

from typing import ClassVar


class ConnectifError(Exception):
    """Base class of all errors of the API client."""

    #: Whether a retry cannot help.
    final: ClassVar[bool] = True


class InvalidArgument(ConnectifError, ValueError):
    """An argument is wrong.

    :param argument: the argument's name, as the caller wrote it
    :param problem: what is wrong with it, and what to use instead
    """

    def __init__(self, argument: str, problem: str) -> None:
        super().__init__(f"{argument}: {problem}")
        self.argument = argument
        self.problem = problem

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.argument, self.problem)


class InvalidConnection(ConnectifError, ValueError):
    """The connection's API key or base URL cannot be used."""


class ConnectionUnusable(ConnectifError):
    """The connection is missing or invalid in this process, but may be usable in another one, or later."""

    final = False


class ApiError(ConnectifError):
    """The API's response, or the lack of one.

    :param message: a message for DAG authors
    :param status: the HTTP status; ``None`` if there was no response
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Refused(ApiError):
    """The API itself refuses the request: the response has the form of its errors, so no gateway sent it."""


class AuthenticationFailed(Refused):
    """401: the API key is missing, wrong or revoked."""


class PermissionDenied(Refused):
    """403: the API key lacks a scope, or the account is blocked."""


class NotFound(Refused):
    """404: the export does not exist."""


class RequestRejected(Refused):
    """400, 415, 422 and other 4xx: the request itself is not accepted."""


class Unavailable(ApiError):
    """There is no useful response now; a retry may help."""

    final = False


class RateLimited(Unavailable):
    """429: too many requests.

    :param retry_after: seconds that the API asks to wait; ``None`` if it does not say
    """

    def __init__(self, message: str, *, status: int | None = 429, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class ServerError(Unavailable):
    """5xx: the API failed.

    :param retry_after: seconds that the API asks to wait; ``None`` if it does not say
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class ConnectionProblem(Unavailable):
    """There was no response: a timeout, or a broken or refused connection.

    :param sent: ``False`` if the request was certainly not sent, because no connection was established
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class UnexpectedResponse(Unavailable):
    """The response is not the API's: HTML, cut JSON, an unexpected structure, a link to another host.

    A wrong Host causes this permanently, but so does a gateway for a short time.
    """


class CreationOutcomeUnknown(ConnectifError):
    """An export was requested, and it is unknown whether it was created: look for it before requesting it again."""

    final = False


class ExportFailed(ConnectifError):
    """The vendor could not create this export.

    :param export_id: the export's id
    :param status: its status, as the API reports it
    """

    def __init__(self, export_id: str, status: str) -> None:
        super().__init__(
            f"Export {export_id} ended with status {status!r} at Connectif. "
            "A new export may succeed; if it fails again, check it in the Connectif application."
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
