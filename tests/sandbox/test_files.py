# SPDX-License-Identifier: Apache-2.0
"""The file server without faults, and its signed URLs."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from urllib.parse import parse_qs, urlsplit

import pytest
import requests


@pytest.fixture
def export_id(client) -> str:
    return client.create()["id"]


@pytest.fixture
def content(client, export_id) -> bytes:
    return client.file(export_id).content


def test_a_signed_url_is_on_another_host_and_contains_only_expiry_and_signature(client, export_id) -> None:
    url = urlsplit(client.export(export_id)["fileUrl"])
    assert (url.hostname, url.port) == ("localhost", client.running.port)
    assert url.path == f"/files/{export_id}"
    assert set(parse_qs(url.query)) == {"expires", "signature"}


@pytest.mark.parametrize(
    ("host", "option", "expected"),
    [
        ("localhost:8787", "", "127.0.0.1:8787"),
        ("[::1]:8787", "", "localhost:8787"),
        ("sandbox:8787", "", "sandbox:8787"),
        ("127.0.0.1:8787", "store", "store:8787"),
        ("127.0.0.1:8787", "store:1", "store:1"),
    ],
)
def test_the_host_of_a_signed_url_depends_on_that_of_the_request(
    sandbox, client, export_id, host: str, option: str, expected: str
) -> None:
    sandbox.set(file_host=option)
    export = client.get(f"/exports/{export_id}", headers={"Host": host}).json()
    assert urlsplit(export["fileUrl"]).netloc == expected


def test_a_signed_url_is_valid_for_100_minutes(client, clock, export_id) -> None:
    url = client.export(export_id)["fileUrl"]
    clock.move(5999)
    assert requests.get(url, timeout=10).status_code == 200
    clock.move(1)
    response = requests.get(url, timeout=10)
    assert response.status_code == 403
    assert response.headers["Content-Type"].startswith("application/xml")
    assert "<Code>AccessDenied</Code>" in response.text
    assert client.file(export_id).status_code == 200


def test_the_validity_of_a_signed_url_is_an_option(sandbox, client, clock, export_id) -> None:
    sandbox.set(url_seconds=2)
    url = client.export(export_id)["fileUrl"]
    clock.move(2)
    assert requests.get(url, timeout=10).status_code == 403


@pytest.mark.parametrize("change", ["expires", "signature", "id", "none"])
def test_a_modified_signed_url_is_rejected(client, export_id, change: str) -> None:
    url = client.export(export_id)["fileUrl"]
    other = client.create()["id"]
    changed = {
        "expires": url.replace("expires=1", "expires=9"),
        "signature": url[:-1] + ("0" if url[-1] != "0" else "1"),
        "id": url.replace(export_id, other),
        "none": url.partition("?")[0],
    }[change]
    response = requests.get(changed, timeout=10)
    assert response.status_code == 403
    assert "<Code>SignatureDoesNotMatch</Code>" in response.text


def test_a_key_sent_with_a_signed_url_is_rejected_and_counted(sandbox, client, export_id) -> None:
    response = client.get(client.export(export_id)["fileUrl"])
    assert response.status_code == 400
    assert "<Code>InvalidArgument</Code>" in response.text
    assert sandbox.stats.file_requests_with_authorization == 1


def test_the_signed_url_of_a_deleted_export_does_not_work(client, export_id) -> None:
    url = client.export(export_id)["fileUrl"]
    client.call("DELETE", f"/exports/{export_id}")
    assert requests.get(url, timeout=10).status_code == 404


def test_a_complete_file_has_the_usual_headers(client, export_id, content) -> None:
    headers = client.file(export_id).headers
    assert headers["Content-Length"] == str(len(content))
    assert headers["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Last-Modified"] == "Wed, 26 Apr 2023 12:00:00 GMT"


def test_head_returns_the_same_headers_without_the_content(client, export_id, content) -> None:
    response = client.file(export_id, "HEAD")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Content-Length"] == str(len(content))
    assert client.running.stats.by_route["HEAD /files/{id}"] == 1


def test_head_may_be_rejected_like_a_url_signed_for_get(sandbox, client, export_id) -> None:
    sandbox.set(head=False)
    assert client.file(export_id, "HEAD").status_code == 403
    assert client.file(export_id).status_code == 200


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=10-19", slice(10, 20)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=-999999999", slice(None)),
        ("bytes=5-999999999", slice(5, None)),
    ],
)
def test_a_range_is_served(client, export_id, content, asked: str, part: slice) -> None:
    response = client.file(export_id, Range=asked)
    start, stop, _ = part.indices(len(content))
    assert (response.status_code, response.content) == (206, content[part])
    assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(content)}"
    assert response.headers["Content-Length"] == str(stop - start)


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=-", "bytes=9-1", "lines=1-2", "bytes=a-b"])
def test_multiple_and_invalid_ranges_are_ignored(client, export_id, content, asked: str) -> None:
    response = client.file(export_id, Range=asked)
    assert (response.status_code, response.content) == (200, content)


def test_a_range_beyond_the_end_is_rejected_with_the_size(client, export_id, content) -> None:
    response = client.file(export_id, Range=f"bytes={len(content)}-")
    assert response.status_code == 416
    assert response.headers["Content-Range"] == f"bytes */{len(content)}"


def test_if_range_of_another_file_returns_the_complete_file(client, export_id, content) -> None:
    headers = client.file(export_id).headers
    for same in (headers["ETag"], headers["Last-Modified"]):
        assert client.file(export_id, Range="bytes=3-5", **{"If-Range": same}).status_code == 206
    response = client.file(export_id, Range="bytes=3-5", **{"If-Range": '"another"'})
    assert (response.status_code, response.content) == (200, content)


def test_if_match_of_another_file_is_rejected(client, export_id) -> None:
    etag = client.file(export_id).headers["ETag"]
    assert client.file(export_id, **{"If-Match": etag}).status_code == 200
    assert client.file(export_id, **{"If-Match": '"another"'}).status_code == 412


def test_ranges_may_be_unsupported(sandbox, client, export_id, content) -> None:
    sandbox.set(ranges=False)
    response = client.file(export_id, Range="bytes=3-5")
    assert (response.status_code, response.content) == (200, content)
    assert "Accept-Ranges" not in response.headers


def test_a_file_may_be_sent_without_its_length(sandbox, client, export_id, content) -> None:
    sandbox.set(chunked=True)
    response = client.file(export_id)
    assert response.content == content
    assert "Content-Length" not in response.headers
    assert response.headers["Transfer-Encoding"] == "chunked"


def test_checksums_are_sent_like_those_of_each_store(sandbox, client, export_id, content) -> None:
    md5 = hashlib.md5(content)
    encoded = b64encode(md5.digest()).decode()
    headers = {}
    for option in ("etag", "goog", "content-md5", "none", "no-etag"):
        sandbox.set(checksums=option)
        headers[option] = client.file(export_id).headers
    assert headers["etag"]["ETag"].strip('"') == md5.hexdigest()
    assert headers["goog"]["x-goog-hash"] == f"md5={encoded}"
    assert headers["content-md5"]["Content-MD5"] == encoded
    assert md5.hexdigest() not in headers["none"]["ETag"]
    assert "ETag" not in headers["no-etag"]
    assert not any("md5" in str(headers[option]).lower() for option in ("etag", "none", "no-etag"))


def test_any_part_of_a_huge_file_is_served(sandbox, client) -> None:
    sandbox.set(file_bytes=20 * 10**9)
    export_id = client.create()["id"]
    size = int(client.file(export_id, "HEAD").headers["Content-Length"])
    assert size > 3 * 10**9
    end = client.file(export_id, Range="bytes=-22").content
    middle = client.file(export_id, Range="bytes=2000000000-2000999999").content
    assert end[:4] == b"PK\x05\x06"
    assert middle[500_000:] == client.file(export_id, Range="bytes=2000500000-2000999999").content


def test_requests_and_bytes_are_counted(sandbox, client, export_id) -> None:
    client.file(export_id, Range="bytes=0-99")
    client.file(export_id, Range="bytes=0-9")
    client.file(export_id, "HEAD")
    stats = sandbox.stats
    assert (stats.file_requests, stats.file_bytes) == (3, 110)
