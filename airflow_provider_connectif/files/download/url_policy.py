# SPDX-License-Identifier: Apache-2.0
"""
Which URLs a file may be read from: ``https``, and no address of the network that this machine is in.

The API names the URL, and the store may redirect it. A worker can reach services that nobody else can, such as the
metadata service of its cloud, and what they return would be stored as an export.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
from urllib.parse import urlsplit


class UrlPolicy:
    """
    Decides which URLs and addresses may be used.

    :param api_host: the host of the API. If its address is private, private addresses are allowed; if it is a loopback
        address, such as the sandbox's, plain ``http`` to loopback addresses is allowed as well.
    """

    def __init__(self, api_host: str) -> None:
        self._api_host = api_host

    def problem(self, url: str) -> str | None:
        """
        Return what is wrong with a URL, without naming it; None if it may be used.

        :param url: an ``http`` or ``https`` URL
        """
        try:
            parts = urlsplit(url)
            scheme, host = parts.scheme.lower(), parts.hostname or ""
        except ValueError:
            return "it is not an http(s) URL"
        if scheme != "https" and not (_is_loopback(host) and _is_loopback(self._api_host)):
            return "it does not use https"
        return None if self.allows(host) else "it leads to a private address"

    def allows(self, host: str) -> bool:
        """
        Return whether a host may be used; a name other than ``localhost`` may, since its address is not known yet.

        :param host: an IP address or a host name
        """
        return not _is_private(host) or self._api_is_private

    @functools.cached_property
    def _api_is_private(self) -> bool:
        if _is_private(self._api_host):
            return True
        try:
            found = socket.getaddrinfo(self._api_host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return False
        return any(_is_private(str(address[0])) for *_, address in found)


def _is_private(host: str) -> bool:
    address = _parse_address(host)
    return host.lower().rstrip(".") == "localhost" if address is None else not address.is_global


def _is_loopback(host: str) -> bool:
    address = _parse_address(host)
    return host == "localhost" if address is None else address.is_loopback


def _parse_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
