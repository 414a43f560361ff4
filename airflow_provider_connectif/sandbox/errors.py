# SPDX-License-Identifier: Apache-2.0
"""The errors of the API, with the bodies that the vendor documents (``HttpError`` and its 422 form)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    415: "Unsupported media type",
    422: "Unprocessable entity",
    429: "Too many requests",
    500: "Internal server error",
    502: "Bad gateway",
    503: "Service unavailable",
    504: "Gateway timeout",
}


class HttpError(Exception):
    """An error response of the API.

    :param status: HTTP status
    :param detail: description of the problem
    :param code: the vendor's error code, if there is one
    :param validation_errors: for 422, the rejected fields
    :param headers: additional headers
    :param has_body: False for a status that is sent without a body
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        code: str | None = None,
        validation_errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        has_body: bool = True,
    ) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.code = code
        self.validation_errors = list(validation_errors)
        self.headers = dict(headers or {})
        self.has_body = has_body

    def body(self) -> dict[str, Any]:
        """Return the ``HttpError``, or the ``HttpUnprocessableEntityError`` for 422."""
        title = TITLES.get(self.status, "Error")
        body: dict[str, Any] = {"status": self.status, "title": title, "detail": self.detail or title}
        if self.code:
            body["code"] = self.code
        if self.status == 422:
            body["validationErrors"] = self.validation_errors
        return body
