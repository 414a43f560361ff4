# SPDX-License-Identifier: Apache-2.0
"""The API key and the base URL: tidied, checked, and kept together, so that the key goes nowhere else."""

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
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HOST_NAME = re.compile(r"[\w.:%-]+")


def tidy_key(password: str | None, login: str | None = None) -> str:
    """Make the ``keyId:keySecret`` string out of what people paste.

    :param password: the whole string, with or without ``apiKey`` before it or white space around it; or the
        secret alone, where ``login`` is the key's id.
    :param login: the key's id, where the password is the secret alone.
    :raises InvalidConnection: where no header could carry it, or where it is no key; the words never
        quote it.
    """
    key = _PREFIX.sub("", (password or "").strip()).strip()
    key_id = (login or "").strip()
    if key_id and ":" not in key:
        key = f"{key_id}:{key}" if key else ""
    if not key:
        raise InvalidConnection(
            "The connection has no API key: put the whole keyId:keySecret string, as Connectif's copy button "
            "gives it, into Password."
        )
    # requests' own error for such a key quotes it whole.
    if not _VISIBLE.fullmatch(key):
        raise InvalidConnection(
            "The API key in Password holds white space, a control character or a letter that no HTTP header "
            "can carry: copy it again, in one line."
        )
    key_id, _, secret = key.partition(":")
    if not key_id or not secret:
        raise InvalidConnection(
            "The API key in Password is not of the form keyId:keySecret: copy the whole string, or put the "
            "key's id into Login and the secret into Password."
        )
    return key


def tidy_base_url(host: str | None, *, schema: str | None = None, port: int | None = None) -> str:
    """Make the base URL out of a connection's fields.

    :param host: a URL, a bare host name, or nothing for the real API.
    :param schema: ``https`` or ``http``, where the host names none.
    :param port: where the host names none.
    :raises InvalidConnection: where it is no URL of a host, or plain ``http`` to anything but this machine.
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
            "Host must be a base URL alone, without a user, a query or a fragment; the API key belongs into Password."
        )
    hostname = str(parts.hostname)
    if parts.scheme == "http" and not is_loopback(hostname):
        raise InvalidConnection(
            f"Host is http://{hostname}: plain http is accepted for loopback addresses alone, since the "
            "API key would travel unencrypted. Write https://."
        )
    name = f"[{hostname}]" if ":" in hostname else hostname
    netloc = name if port is None else f"{name}:{port}"
    return urlunsplit(SplitResult(parts.scheme, netloc, parts.path.rstrip("/"), "", ""))


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own.

    Names under ``.localhost`` are not: some resolvers ask the network for them.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class KeyForOneHost:
    """Adds the key to requests that go to the API's own host, and refuses to be used for any other.

    Being the request's ``auth``, it also keeps ``requests`` from adding a password out of ``~/.netrc``.

    :param key: as :func:`tidy_key` gives it.
    :param base_url: as :func:`tidy_base_url` gives it.
    """

    def __init__(self, key: str, base_url: str) -> None:
        self._key = key
        self._base_url = base_url
        self._origin = _origin(base_url)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if _origin(request.url or "") != self._origin:
            raise UnexpectedResponse("A request to another host than the API's was about to carry the API key.")
        request.headers["Authorization"] = f"apiKey {self._key}"
        return request

    def __repr__(self) -> str:
        return f"KeyForOneHost({self._base_url!r})"

    def __getstate__(self) -> object:
        raise TypeError("An API key is not to be pickled.")

    def follow(self, link: str, *, current: str) -> str:
        """Resolve a link of the API's to an address that the key may go to.

        :param link: absolute or relative.
        :param current: the address that the link was met at.
        :raises UnexpectedResponse: where it leads to another host.
        """
        try:
            parts, own = urlsplit(urljoin(current, link)), urlsplit(self._base_url)
        except ValueError:
            raise UnexpectedResponse("The API's link is no address. Check the connection's Host.") from None
        # An API behind a proxy may write http:// or its inner port into its own links: the path counts.
        if parts.scheme in ("http", "https") and parts.hostname == own.hostname:
            return urlunsplit(SplitResult(own.scheme, own.netloc, parts.path, parts.query, ""))
        raise UnexpectedResponse(
            f"The API's link leads to another host ({parts.hostname or 'none'}): the API key does not go "
            f"there. Check the connection's Host, {self._base_url}."
        )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _not_a_url() -> str:
    return f"Host is no base URL: write one such as {DEFAULT_BASE_URL}, or leave it empty for the real API."
