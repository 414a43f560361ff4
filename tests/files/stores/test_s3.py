# SPDX-License-Identifier: Apache-2.0
"""S3 and S3-compatible stores."""

from __future__ import annotations

import base64
import contextlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs

from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.files.stores.resolve import resolve_store
from tests.faults import Faults
from tests.files.stores.objects import MIB, random_bytes, upload, without_budget
from tests.stores import Place, run_s3_server, s3_options

pytestmark = pytest.mark.usefixtures("small_parts")


def test_a_folder_may_be_the_bucket_itself(s3_store: Place) -> None:
    bucket = s3_store.path.split("/")[0]
    store = s3_store.with_path(f"s3://{bucket}/").store()
    upload(store, "a.csv", b"data")
    assert [found.name for found in store.find("")] == ["a.csv"]
    assert s3_store.fs.cat_file(f"{bucket}/a.csv") == b"data"


def test_only_unfinished_uploads_of_the_given_names_are_aborted(s3_store: Place) -> None:
    store = without_budget(s3_store.store())
    for name in ("a.csv", "not-ours.csv"):
        store.stage(name).write(b"never finished")
    assert s3_store.unfinished_uploads() == 2
    store.delete_abandoned_uploads(["a.csv"])
    assert s3_store.unfinished_uploads() == 1


@contextlib.contextmanager
def pages_of_one(place: Place, operation: str, parameter: str) -> Iterator[list[str]]:
    """Let the server return pages with one entry; return the list of the requests for them."""
    requested: list[str] = []

    def shorten(params: dict[str, Any], **_: Any) -> None:
        params[parameter] = 1
        requested.append(operation)

    place.fs.connect()
    event = f"provide-client-params.s3.{operation}"
    place.fs.s3.meta.events.register(event, shorten)
    yield requested
    place.fs.s3.meta.events.unregister(event, shorten)


def test_abandoned_uploads_on_all_pages_are_aborted(s3_store: Place) -> None:
    store = without_budget(s3_store.store())
    for name in ("a.csv", "b.csv", "c.csv"):
        store.stage(name).write(b"never finished")
    with pages_of_one(s3_store, "ListMultipartUploads", "MaxUploads") as requested:
        store.delete_abandoned_uploads(["a.csv", "b.csv", "c.csv"])
    assert len(requested) >= 3
    assert s3_store.unfinished_uploads() == 0


@pytest.mark.parametrize("kind", ["s3", "moto"])
def test_the_parts_on_all_pages_are_counted_before_an_object_is_published(
    request: pytest.FixtureRequest, kind: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    with pages_of_one(place, "ListParts", "MaxParts") as requested:
        upload(place.store(), "a.csv", random_bytes(5 * MIB // 2))
    assert len(requested) >= 3


@pytest.mark.parametrize("fault", ["not implemented", "reject"])
def test_an_object_is_stored_where_parts_cannot_be_listed(moto_store: Place, fault: Any) -> None:
    faults = Faults()
    faults.fail(r"^GET .*uploadId=", fault=fault)
    with moto_store.behind_proxy(faults) as place:
        upload(place.store(), "a.csv", random_bytes(2 * MIB))
    assert faults.hits
    assert moto_store.names() == {"a.csv"}


def test_a_small_object_is_one_request_when_it_is_published(s3_store: Place) -> None:
    faults = Faults()
    with s3_store.behind_proxy(faults) as place:
        staged = [place.store().stage(name) for name in ("a.csv", "b.csv")]
        for each in staged:
            each.write(b"id,name\n")
            each.write(b"1,x\n")
            each.complete()
        staged.pop().discard()
        assert faults.seen == []
        staged[0].publish()
        assert [line.split()[0] for line in faults.seen] == ["PUT"]
    found = s3_store.store().info("a.csv")
    assert found is not None
    assert found.etag == staged[0].etag
    assert s3_store.read("a.csv") == b"id,name\n1,x\n"


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
        upload(without_budget(place.store()), "a.csv", data)
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


def test_no_object_is_sent_with_a_checksum_after_its_data_which_some_servers_refuse(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over https, botocore sends the data as ``aws-chunked``, unless the checksum is a header; rclone refuses it."""
    (tmp_path / "lake").mkdir()
    with run_s3_server(tmp_path, certificate) as endpoint:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        fs = s3fs.S3FileSystem(**s3_options(endpoint), skip_instance_cache=True)
        store = resolve_store(fs, "lake/folder")
        store.put("manifest", b"{}")
        upload(store, "small.csv", b"data")
        upload(without_budget(resolve_store(fs, "lake/folder")), "parts.csv", random_bytes(3 * MIB))
        assert sorted(found.name for found in store.find()) == ["manifest", "parts.csv", "small.csv"]


def test_a_small_object_whose_content_breaks_off_is_read_again(moto_store: Place) -> None:
    """Some servers do this while the object is replaced."""
    moto_store.write("a.json", b"content")
    faults = Faults()
    with moto_store.behind_proxy(faults) as place:
        store = place.store()
        faults.fail(r"^GET .*a\.json", fault="cut response", once=True)
        assert store.read("a.json") == b"content"
        assert faults.hits == 1
        faults.fail(r"^GET .*a\.json", fault="cut response")
        with pytest.raises(DestinationError, match=r"reading a\.json"):
            store.read("a.json")
        assert faults.hits == 6
