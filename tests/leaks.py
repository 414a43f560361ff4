# SPDX-License-Identifier: Apache-2.0
"""Secrets that must never be written anywhere, in the form that the sandbox's keys and signed URLs have."""

from __future__ import annotations

import re

# The secrets of the sandbox's keys, and the signatures in URLs of the sandbox and of common object stores.
SECRETS = re.compile(r"sandbox-\w+-secret|[?&](?:signature|sig|X-Amz-Signature|X-Goog-Signature)=[\w%]{8,}")


def words_before_a_secret(text: str) -> str | None:
    """Return the text before the first secret, or None if there is no secret."""
    found = SECRETS.search(text)
    return text[max(0, found.start() - 200) : found.start()] if found else None
