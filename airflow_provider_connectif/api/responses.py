# SPDX-License-Identifier: Apache-2.0
"""The meaning of the API's HTTP responses: the decoded body of a successful one, or a typed error."""

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

_MAX_DETAIL_LENGTH = 300
_MAX_VALUE_LENGTH = 40

# The arguments of this package for the API's fields.
_ARGUMENTS = {
    "segmentId": "segment_id",
    "reportId": "report_id",
    "fromDate": "from_date",
    "toDate": "to_date",
    "activityTypes": "activity_types",
    "dateFormat": "date_format",
    "exportType": "export_type",
}
_QUERY_STRING = re.compile(r"(https?://[^\s?]*)\?\S*")


def decode_json(response: Response) -> Any:
    """Decode the JSON body of a successful response.

    :raises UnexpectedResponse: if it is anything else, such as the HTML of a proxy or a login page
    """
    try:
        return response.json()
    except ValueError:
        raise _unreadable(response) from None


def error_from_response(response: Response, *, what: str, scope: str, retry_after: float | None) -> ApiError:
    """Return the error for a response with a status other than 2xx.

    :param response: the response
    :param what: what was requested, in words, such as ``export 64f0…`` or ``the list of exports``
    :param scope: the scope that the request needs, ``read`` or ``write``
    :param retry_after: seconds that the response asks to wait; ``None`` if it does not say
    """
    status = response.status_code
    detail = _detail(response)
    wait = _describe_wait(response, retry_after)
    if 400 <= status < 500 and status not in (408, 429) and not _is_from_api(response):
        return _unreadable(response)
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
        return RateLimited(f"The API's rate limit is reached (429).{wait}{detail}", retry_after=retry_after)
    # 408 comes from a server or proxy that stopped waiting: it says nothing about the request itself.
    if status >= 500 or status == 408:
        return ServerError(
            f"The API failed with status {status}.{wait}{detail}", status=status, retry_after=retry_after
        )
    if status >= 400:
        return RequestRejected(f"The API does not accept the request ({status}).{detail}", status=status)
    return UnexpectedResponse(
        f"The API responded with status {status} to a request for {what}. Check the connection's Host.", status=status
    )


def _describe_wait(response: Response, retry_after: float | None) -> str:
    if retry_after is not None:
        return f" It asks to wait {retry_after:.0f} s."
    ignored = response.headers.get("Retry-After")
    return f" Its Retry-After, {ignored[:_MAX_VALUE_LENGTH]!r}, is not plausible and is ignored." if ignored else ""


def _is_from_api(response: Response) -> bool:
    """Return whether a 4xx response is the API's, rather than the page of a gateway in between.

    403 and 404, which gateways send as well, must be an ``HttpError``; the others may have any JSON, or no body.
    """
    must_be_http_error = response.status_code in (403, 404)
    if not response.content.strip():
        return not must_be_http_error
    try:
        body = response.json()
    except ValueError:
        return False
    return not must_be_http_error or (
        isinstance(body, Mapping)
        and isinstance(body.get("title"), str)
        and str(body.get("status")) == str(response.status_code)
    )


def _unreadable(response: Response) -> UnexpectedResponse:
    """Return the error for a body that is not what the API sends."""
    content_type = response.headers.get("Content-Type", "").split(";")[0].strip()
    if not response.content.strip():
        found = "an empty body instead of JSON"
    elif response.status_code >= 400:
        found = f"{content_type or 'a body'} that is not one of the API's errors"
    elif "json" in content_type.lower():
        found = "JSON that is cut off or invalid"
    else:
        found = f"{content_type or 'a body of an unknown type'} instead of JSON"
    return UnexpectedResponse(
        f"The API returned {found} (status {response.status_code}). If this does not pass, check the connection's "
        "Host, and any proxy in between.",
        status=response.status_code,
    )


def _detail(response: Response) -> str:
    """Return the useful parts of an ``HttpError``; for 422 they are only in ``validationErrors``."""
    try:
        body = response.json()
    except ValueError:
        return ""
    if not isinstance(body, Mapping):
        return ""
    parts = [str(body[name]) for name in ("title", "detail") if isinstance(body.get(name), str)]
    if isinstance(body.get("code"), str):
        parts.append(f"({body['code']})")
    validation_errors = body.get("validationErrors")
    if isinstance(validation_errors, list):
        for each in validation_errors:
            if isinstance(each, Mapping):
                path = each.get("path") or each.get("name") or "?"
                argument = _ARGUMENTS.get(str(path).rpartition("/")[2])
                field = f"{argument} ({path})" if argument else path
                parts.append(f"{field}: {each.get('reason', 'not valid')}")
    text = _mask_secrets(" ".join("; ".join(parts).split()), response)
    if not text:
        return ""
    return " It says: " + (text if len(text) <= _MAX_DETAIL_LENGTH else text[:_MAX_DETAIL_LENGTH] + "…")


def _mask_secrets(text: str, response: Response) -> str:
    """Mask what a response may quote: the API key that was sent, and the query string of a signed URL."""
    authorization = response.request.headers.get("Authorization", "") if response.request else ""
    secret = str(authorization).partition(":")[2]
    if secret:
        text = text.replace(secret, "***")
    return _QUERY_STRING.sub(r"\1?***", text)
