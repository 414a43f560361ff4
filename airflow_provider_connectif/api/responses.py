# SPDX-License-Identifier: Apache-2.0
"""What the API's HTTP answers mean: a good one's decoded body, or a typed error in plain words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.api.errors import (
    ApiError,
    AuthenticationFailed,
    NotFound,
    PermissionDenied,
    RateLimited,
    RequestRejected,
    ServerError,
    UnexpectedResponse,
)

if TYPE_CHECKING:
    from requests import Response

_MOST_WORDS = 300

_SIGNED = re.compile(r"(https?://[^\s?]*)\?\S*")


def decode(response: Response) -> Any:
    """Decode a good answer's JSON.

    :raises UnexpectedResponse: where it is something else, such as a proxy's or a login page's HTML.
    """
    try:
        return response.json()
    except ValueError:
        kind = response.headers.get("Content-Type", "nothing").split(";")[0]
        raise UnexpectedResponse(
            f"The API answered with {kind} in place of JSON (status {response.status_code}). "
            "Check the connection's Host, and any proxy on the way.",
            status=response.status_code,
        ) from None


def error_of(response: Response, *, what: str, scope: str, asked_wait: float | None) -> ApiError:
    """Make the error that an answer other than 2xx stands for.

    :param response: the answer.
    :param what: what was asked for, in words, such as ``export 64f0…`` or ``the list of exports``.
    :param scope: the scope that it needs, ``read`` or ``write``.
    :param asked_wait: seconds that the answer asks to wait; None where it does not say.
    """
    status = response.status_code
    detail = _detail(response)
    if status == 401:
        return AuthenticationFailed(
            "Connectif refused the API key (401): it is missing, wrong or revoked. Put the whole "
            "keyId:keySecret string into the connection's Password.",
            status=status,
        )
    if status == 403:
        return PermissionDenied(
            f"The API key may not access {what} (403): it needs the exports {scope} scope, and the account "
            f"must not be blocked.{detail}",
            status=status,
        )
    if status == 404:
        return NotFound(
            f"Connectif does not know {what} (404): it was deleted, it belongs to another store, or the "
            f"connection's Host is wrong.{detail}",
            status=status,
        )
    if status == 429:
        return RateLimited(f"The API's rate limit is reached (429).{detail}", retry_after=asked_wait)
    # 408 comes from a server or proxy that gave up waiting: it says nothing about the request itself.
    if status >= 500 or status == 408:
        return ServerError(f"The API failed on its own side ({status}).{detail}", status=status, retry_after=asked_wait)
    if status >= 400:
        return RequestRejected(f"The API does not accept the request ({status}).{detail}", status=status)
    return UnexpectedResponse(
        f"The API answered with status {status} where it should give {what}. Check the connection's Host.",
        status=status,
    )


def _detail(response: Response) -> str:
    """Take the useful words out of an ``HttpError``; for 422 they are in ``validationErrors`` alone."""
    try:
        body = response.json()
    except ValueError:
        return ""
    if not isinstance(body, Mapping):
        return ""
    words = [str(body[name]) for name in ("title", "detail") if isinstance(body.get(name), str)]
    if isinstance(body.get("code"), str):
        words.append(f"({body['code']})")
    problems = body.get("validationErrors")
    if isinstance(problems, list):
        for problem in problems:
            if isinstance(problem, Mapping):
                place = problem.get("path") or problem.get("name") or "?"
                words.append(f"{place}: {problem.get('reason', 'not valid')}")
    text = _without_secrets(" ".join("; ".join(words).split()), response)
    if not text:
        return ""
    return " It says: " + (text if len(text) <= _MOST_WORDS else text[:_MOST_WORDS] + "…")


def _without_secrets(text: str, response: Response) -> str:
    """Take out what an answer may quote: the key that was sent, and what signs a file's address."""
    authorization = response.request.headers.get("Authorization", "") if response.request else ""
    secret = str(authorization).partition(":")[2]
    if secret:
        text = text.replace(secret, "***")
    return _SIGNED.sub(r"\1?***", text)
