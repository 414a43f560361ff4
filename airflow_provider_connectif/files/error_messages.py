# SPDX-License-Identifier: Apache-2.0
"""Recognizes bodies that a store or a proxy sends instead of a file."""

from __future__ import annotations

import re

#: No CSV begins like this: a quote within a field that is not quoted is not valid (RFC 4180).
_BEGINNING = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<!doctype|<!--|<\?xml|<(html|head|body|meta|script|title|h1|error)\b|\{\s*[\"}]|\[\s*[\"{])",
    re.IGNORECASE,
)
_TYPES = re.compile(r"\s*(text/html|text/xml|application/([\w.-]+\+)?(xhtml|xml|json))\s*(;|\+|$)", re.IGNORECASE)
_ARCHIVES = (b"PK", b"\x1f\x8b")


def is_error_message(head: bytes, content_type: str | None = None) -> bool:
    """
    Return whether a body is a web page or a message in XML or JSON, and not the file of an export.

    :param head: its first bytes
    :param content_type: its ``Content-Type``, which is ignored if the body begins like an archive
    """
    if not head or head.startswith(_ARCHIVES):
        return False
    return bool(_BEGINNING.match(head) or _TYPES.match(content_type or ""))
