# SPDX-License-Identifier: Apache-2.0
"""Small JSON objects that the provider keeps in a folder while it works."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_connectif.files.stores.base import Store


def to_json(content: dict[str, Any]) -> bytes:
    """Return the content of such an object: always the same for the same ``content``."""
    return (json.dumps(content, sort_keys=True) + "\n").encode()


def read_json(store: Store, name: str) -> dict[str, Any]:
    """Return what such an object says; empty if it does not exist or cannot be read.

    :raises DestinationError: if the store fails
    """
    try:
        content = json.loads(store.read(name) or b"{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
