# SPDX-License-Identifier: Apache-2.0
"""What the API's HTTP answers mean: the decoded body of a good one, a typed error in plain words for any other."""

from __future__ import annotations

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
    UnexpectedAnswer,
)

if TYPE_CHECKING:
    from requests import Response

_MOST_WORDS = 300


def decode(response: Response) -> Any:
    """Decode a good answer's JSON.

    :raises UnexpectedAnswer: where it is something else, such as a proxy's or a login page's HTML.
    """
    try:
        return response.json()
    except ValueError:
        kind = response.headers.get("Content-Type", "nothing").split(";")[0]
        raise UnexpectedAnswer(
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
            "Connectif refused the API key (401): it is missing, wrong or revoked. Put the whole keyId:keySecret string "
            "into the connection's Password.",
            status=status,
        )
    if status == 403:
        return PermissionDenied(
            f"The API key may not access {what} (403): it needs the exports {scope} scope, and the account must not "
            f"be blocked.{detail}",
            status=status,
        )
    if status == 404:
        return NotFound(
            f"Connectif knows no {what} (404): it was deleted, or belongs to another store.{detail}",
            status=status,
        )
    if status == 429:
        return RateLimited(f"The API's rate limit is reached (429).{detail}", retry_after=asked_wait)
    if status >= 500:
        return ServerError(
            f"The API failed on its own side ({status}).{detail}", status=status, retry_after=asked_wait
        )
    if status >= 400:
        return RequestRejected(f"The API does not accept the request ({status}).{detail}", status=status)
    return UnexpectedAnswer(
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
    text = "; ".join(words)
    if not text:
        return ""
    return " It says: " + (text if len(text) <= _MOST_WORDS else text[:_MOST_WORDS] + "…")
