# SPDX-License-Identifier: Apache-2.0
"""Signed URLs of files: different for each request, valid for a limited time, on a different origin than the API."""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
import secrets
from urllib.parse import urlsplit


@functools.lru_cache(maxsize=64)
def file_host(api_host: str, option: str) -> str:
    """Return the host and port of signed URLs.

    On the loopback interface the server can be reached both as ``localhost`` and by its IP address, so the other one
    is used as a different origin. Any other host is used unchanged, because it has no second name known to work.

    :param api_host: ``Host`` header of the request to the API
    :param option: the ``file_host`` option
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
    """Return the parameters ``expires`` and ``signature`` of a signed URL, which are different each time.

    :param expires: expiry time in epoch seconds
    """
    expires_text = f"{expires:.3f}"
    nonce = secrets.token_hex(8)
    return expires_text, nonce + _digest(key, export_id, expires_text, nonce)


def is_signed(key: bytes, export_id: str, expires: str, signature: str) -> bool:
    """Return whether the parameters are from :func:`sign` for this export. They may have expired."""
    nonce, digest = signature[:16], signature[16:]
    return hmac.compare_digest(digest.encode(), _digest(key, export_id, expires, nonce).encode())


def _digest(key: bytes, export_id: str, expires: str, nonce: str) -> str:
    return hmac.new(key, f"{export_id}\n{expires}\n{nonce}".encode(), hashlib.sha256).hexdigest()
