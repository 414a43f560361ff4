# SPDX-License-Identifier: Apache-2.0
"""Azure Storage, by Azurite."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.files.errors import DestinationError
from tests.stores import Place

pytestmark = pytest.mark.usefixtures("small_parts")


def test_a_writer_whose_blocks_were_discarded_for_different_content_fails_with_the_reason(azure_store: Place) -> None:
    one, other = (azure_store.store().stage("a.csv") for _ in range(2))
    one.write(b"one")
    other.write(b"other")
    one.complete()
    other.complete()
    one.publish()
    with pytest.raises(DestinationError, match=r"Another writer stored a\.csv with different content"):
        other.publish()
    assert azure_store.read("a.csv") == b"one"


def test_each_blob_records_its_sha256(azure_store: Place) -> None:
    with azure_store.store().stage("a.csv") as staged:
        staged.write(b"data")
        staged.complete()
        staged.publish()
    info = azure_store.fs.info(f"{azure_store.path}/a.csv", refresh=True)
    assert info["metadata"]["connectif_sha256"] == staged.sha256
