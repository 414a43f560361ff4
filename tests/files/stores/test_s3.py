# SPDX-License-Identifier: Apache-2.0
"""S3 and S3-compatible stores."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import pytest

from tests.files.stores.objects import FAR_FUTURE, MIB, random_bytes, upload
from tests.stores import Place

pytestmark = pytest.mark.usefixtures("small_parts")


def test_a_folder_may_be_the_bucket_itself(s3_store: Place) -> None:
    bucket = s3_store.path.split("/")[0]
    store = s3_store.with_path(f"s3://{bucket}/").store()
    upload(store, "a.csv", b"data")
    assert [found.name for found in store.find("")] == ["a.csv"]
    assert s3_store.fs.cat_file(f"{bucket}/a.csv") == b"data"


def test_abandoned_uploads_of_the_given_names_are_aborted_after_a_day(s3_store: Place) -> None:
    store = s3_store.store()
    for name in ("a.csv", "not-ours.csv"):
        store.stage(name).write(b"never finished")
    store.delete_abandoned_uploads(["a.csv"])
    assert s3_store.unfinished_uploads() == 2
    s3_store.store(clock=lambda: FAR_FUTURE).delete_abandoned_uploads(["a.csv"])
    assert s3_store.unfinished_uploads() == 1


def test_no_part_of_a_discarded_upload_arrives_later(s3_store: Place) -> None:
    staged = s3_store.store().stage("a.csv")
    for _ in range(6):
        staged.write(bytes(MIB))
    staged.discard()
    assert s3_store.unfinished_uploads() == 0
    assert s3_store.names() == set()


def sent_parts(place: Place, monkeypatch: pytest.MonkeyPatch, data: bytes) -> list[tuple[bytes, str | None]]:
    """Store ``data``, and return each part that was sent, with its checksum header."""
    sent: list[tuple[bytes, str | None]] = []

    def record(request: Any, **_: Any) -> None:
        body = request.body
        content = body.read() if hasattr(body, "read") else bytes(body)
        if hasattr(body, "seek"):
            body.seek(0)
        sent.append((content, request.headers.get("x-amz-checksum-crc32")))

    place.fs.connect()
    place.fs.s3.meta.events.register("before-sign.s3.UploadPart", record)
    try:
        upload(place.store(), "a.csv", data)
    finally:
        place.fs.s3.meta.events.unregister("before-sign.s3.UploadPart", record)
    return sent


def test_each_part_is_sent_with_its_crc(s3_store: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    data = random_bytes(5 * MIB // 2)
    sent = sent_parts(s3_store, monkeypatch, data)
    assert len(sent) == 3
    for content, checksum in sent:
        assert checksum is not None
        assert base64.b64decode(checksum) == zlib.crc32(content).to_bytes(4, "big")


def test_no_crc_is_sent_if_the_connection_is_configured_without(
    s3_store: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_store.fs.connect()
    monkeypatch.setattr(s3_store.fs.s3.meta.config, "request_checksum_calculation", "when_required", raising=False)
    assert [checksum for _, checksum in sent_parts(s3_store, monkeypatch, random_bytes(MIB))] == [None]
