# SPDX-License-Identifier: Apache-2.0
"""The checks that all stores share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_connectif.files.stores.base import Store
from tests.stores import Place

METHODS: dict[str, Callable[[Store, str], object]] = {
    "stage": lambda store, name: store.stage(name),
    "put": lambda store, name: store.put(name, b""),
    "read": lambda store, name: store.read(name),
    "info": lambda store, name: store.info(name),
    "delete": lambda store, name: store.delete(name),
}


@pytest.mark.parametrize("name", ["", "a/b", "..", "/etc/passwd"])
def test_a_name_outside_the_folder_is_rejected(memory_store: Place, name: str) -> None:
    with pytest.raises(ValueError, match="is not a plain name"):
        memory_store.store().stage(name)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_rejects_a_name_outside_the_folder(local_store: Place, method: str) -> None:
    with pytest.raises(ValueError, match="is not a plain name"):
        METHODS[method](local_store.store(), "../a.csv")
