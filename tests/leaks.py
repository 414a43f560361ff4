# SPDX-License-Identifier: Apache-2.0
"""What must never be written anywhere (promise 6), as the sandbox's keys and addresses look."""

from __future__ import annotations

import re

# The secrets of the sandbox's keys; and what signs an address there and at the usual object stores.
SECRETS = re.compile(r"sandbox-\w+-secret|[?&](?:signature|sig|X-Amz-Signature|X-Goog-Signature)=[\w%]{8,}")


def words_before_a_secret(text: str) -> str | None:
    """Find a secret and return what stands before it, or None when there is none."""
    found = SECRETS.search(text)
    return text[max(0, found.start() - 200) : found.start()] if found else None
