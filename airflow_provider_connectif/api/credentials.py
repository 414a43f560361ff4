# SPDX-License-Identifier: Apache-2.0
"""The API key and the base URL: normalized, checked, and kept together, so that the key is sent to no other host."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from airflow_provider_connectif.api.errors import InvalidConnection, UnexpectedResponse

if TYPE_CHECKING:
    from requests import PreparedRequest

DEFAULT_BASE_URL = "https://api.connectif.cloud"

_PREFIX = re.compile(r"^(?:authorization:\s*)?apikey\s+", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"(?:authorization:\s*)?(bearer|basic|token)\s", re.IGNORECASE)
_QUOTES = ("'", '"', "`")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_ENDPOINT = re.compile(r"/exports?(/.*)?$")
_WEB_APPLICATION = re.compile(r"(?:[a-z]{2}\d+|app|www)\.connectif\.(?:cloud|ai)")
_HOST_NAME = re.compile(r"[\w.:%-]+")


def normalize_api_key(password: str | None, login: str | None = None) -> str:
    """Return the ``keyId:keySecret`` string from a connection's fields.

    :param password: the whole string, with or without the prefix ``apiKey`` or surrounding whitespace; or only the
        secret, if ``login`` is the key's id
    :param login: the key's id, if the password is only the secret
    :raises InvalidConnection: if it is missing, is not an API key, or cannot be sent in a header; the message never
        contains it
    """
    key = _PREFIX.sub("", (password or "").strip()).strip()
    key_id = (login or "").strip()
    if found := _OTHER_SCHEME.match(key):
        raise InvalidConnection(
            f"Password begins with {found[1]}, but Connectif's API uses no such tokens: put only the "
            "keyId:keySecret string into Password."
        )
    if key[:1] in _QUOTES and key[:1] == key[-1:]:
        raise InvalidConnection("The API key in Password has quotes around it: remove them.")
    if key_id and ":" not in key:
        key = f"{key_id}:{key}" if key else ""
    elif key_id and key.partition(":")[0] != key_id:
        raise InvalidConnection(
            "Login is the id of one API key, and Password a whole keyId:keySecret string of another one: empty Login, "
            "or put only the secret into Password."
        )
    if not key:
        raise InvalidConnection(
            "The connection has no API key: put the whole keyId:keySecret string, as copied with Connectif's copy "
            "button, into Password."
        )
    # The message of requests' error for such a key contains the whole key.
    if not _VISIBLE.fullmatch(key):
        raise InvalidConnection(
            "The API key in Password contains whitespace or a character that is not allowed in an HTTP header: "
            "copy it again, as a single line."
        )
    key_id, _, secret = key.partition(":")
    if not key_id or not secret:
        raise InvalidConnection(
            "The API key in Password does not have the form keyId:keySecret: copy the whole string, or put the "
            "key's id into Login and the secret into Password."
        )
    return key


def normalize_base_url(host: str | None, *, schema: str | None = None, port: int | None = None) -> str:
    """Return the base URL from a connection's fields.

    :param host: a URL or a host name; empty for the real API
    :param schema: ``https`` or ``http``, if the host has no scheme
    :param port: the port, if the host has none
    :raises InvalidConnection: if it is not the URL of a host, or is plain ``http`` to any other machine
    """
    text = (host or "").strip()
    if not text:
        return DEFAULT_BASE_URL
    if "://" not in text:
        text = f"{schema or 'https'}://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port or port
    except ValueError:
        raise InvalidConnection(_not_a_url()) from None
    if parts.scheme not in ("https", "http") or not _HOST_NAME.fullmatch(parts.hostname or ""):
        raise InvalidConnection(_not_a_url())
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidConnection(
            "Host must be only a base URL, without a user, a query or a fragment; the API key belongs in Password."
        )
    hostname = str(parts.hostname)
    if found := _ENDPOINT.search(parts.path):
        raise InvalidConnection(
            f"Host ends with {found[0].rstrip('/')}, which is not part of the base URL: use {DEFAULT_BASE_URL}, or "
            "leave it empty for the real API."
        )
    if _WEB_APPLICATION.fullmatch(hostname):
        raise InvalidConnection(
            f"Host is {hostname}, which is Connectif's web application, not its API: leave Host empty, and put this "
            "URL into Web application."
        )
    if parts.scheme == "http" and not is_loopback(hostname):
        raise InvalidConnection(
            f"Host is http://{hostname}: plain http is allowed only for loopback addresses, because the API key "
            "would be sent unencrypted. Use https://."
        )
    name = f"[{hostname}]" if ":" in hostname else hostname
    netloc = name if port is None else f"{name}:{port}"
    return urlunsplit(SplitResult(parts.scheme, netloc, parts.path.rstrip("/"), "", ""))


def is_loopback(host: str) -> bool:
    """Return whether a host name or IP address is this machine's own.

    Names under ``.localhost`` are not: some resolvers look them up in the network.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ApiKeyAuth:
    """Adds the API key to requests to the API's own host, and raises an error for any other host.

    Because it is the request's ``auth``, ``requests`` does not add a password from ``~/.netrc``.

    :param key: as :func:`normalize_api_key` returns it
    :param base_url: as :func:`normalize_base_url` returns it
    """

    def __init__(self, key: str, base_url: str) -> None:
        self._key = key
        self._base_url = base_url
        self._origin = _origin(base_url)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if _origin(request.url or "") != self._origin:
            raise UnexpectedResponse("The API key was about to be sent to a host other than the API's.")
        request.headers["Authorization"] = f"apiKey {self._key}"
        return request

    def __repr__(self) -> str:
        return f"ApiKeyAuth({self._base_url!r})"

    def __getstate__(self) -> object:
        raise TypeError("An API key cannot be pickled.")

    def resolve_link(self, link: str, *, current: str) -> str:
        """Resolve a link in a response to a URL to which the API key may be sent.

        :param link: an absolute or relative URL
        :param current: the URL of the response
        :raises UnexpectedResponse: if it leads to another host
        """
        try:
            parts, own = urlsplit(urljoin(current, link)), urlsplit(self._base_url)
        except ValueError:
            raise UnexpectedResponse(
                "The API returned a link that is not a URL. Check the connection's Host."
            ) from None
        # An API behind a proxy may use http:// or its internal port in its links: only the path matters.
        if parts.scheme in ("http", "https") and parts.hostname == own.hostname:
            return urlunsplit(SplitResult(own.scheme, own.netloc, parts.path, parts.query, ""))
        raise UnexpectedResponse(
            f"The API returned a link to another host ({parts.hostname or 'none'}), to which the API key is not "
            f"sent. Check the connection's Host, {self._base_url}."
        )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _not_a_url() -> str:
    return f"Host is not a base URL: use a URL such as {DEFAULT_BASE_URL}, or leave it empty for the real API."
