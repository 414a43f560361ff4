# SPDX-License-Identifier: Apache-2.0
"""Signed addresses of files: new for every request, valid for a time, on another origin than the API."""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
import secrets
from urllib.parse import urlsplit


@functools.lru_cache(maxsize=64)
def file_host(api_host: str, option: str) -> str:
    """Return the host and port of the files' addresses.

    The same server listens under both names of the loopback, so the other one makes another origin. A host
    that is not the loopback has no second name that is sure to reach it, and stays as it is.

    :param api_host: the ``Host`` header of the API's request.
    :param option: the ``file_host`` option.
    """
    split = urlsplit(f"//{api_host}")
    port = f":{split.port}" if split.port else ""
    name = split.hostname or "127.0.0.1"
    if option:
        return option if urlsplit(f"//{option}").port else option + port
    if name == "localhost":
        return "127.0.0.1" + port
    try:
        return "localhost" + port if ipaddress.ip_address(name).is_loopback else api_host
    except ValueError:
        return api_host


def sign(key: bytes, export_id: str, expires: float) -> tuple[str, str]:
    """Return ``expires`` and ``signature`` for an address. No two are alike.

    :param expires: epoch seconds.
    """
    moment = f"{expires:.3f}"
    nonce = secrets.token_hex(8)
    return moment, nonce + _digest(key, export_id, moment, nonce)


def is_genuine(key: bytes, export_id: str, expires: str, signature: str) -> bool:
    """Tell whether an address was made by :func:`sign` for this export; it may have expired."""
    nonce, digest = signature[:16], signature[16:]
    return hmac.compare_digest(digest.encode(), _digest(key, export_id, expires, nonce).encode())


def _digest(key: bytes, export_id: str, expires: str, nonce: str) -> str:
    return hmac.new(key, f"{export_id}\n{expires}\n{nonce}".encode(), hashlib.sha256).hexdigest()
