# SPDX-License-Identifier: Apache-2.0
"""The part of Google Cloud Storage's JSON API that uploads need, over real HTTP.

It is as strict as the service: chunks of a resumable upload are multiples of 256 KiB except the last, nothing is
visible before the last one, cancelling an upload returns 499, ``ifGenerationMatch`` is honoured, and content that does
not have the declared ``md5Hash`` or ``X-Goog-Hash`` is rejected.

From https://cloud.google.com/storage/docs/performing-resumable-uploads and …/storage/docs/json_api/v1/objects.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.faults import Faults, Request
from tests.http_server import run_in_thread

CHUNK_SIZE = 256 * 1024


def md5(data: bytes) -> str:
    """Return the MD5 as the service writes it."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def crc32c(data: bytes | bytearray) -> str:
    """Return the CRC-32C as the header of a request declares it."""
    from google_crc32c import Checksum

    return f"crc32c={base64.b64encode(Checksum(bytes(data)).digest()).decode()}"


class GCSServer(ThreadingHTTPServer):
    """The server, with its objects and unfinished uploads."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults = Faults()
        self.lock = threading.RLock()
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.uploads: dict[str, tuple[str, bytearray]] = {}
        self.upload_types: dict[str, str] = {}
        self._generation = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def keep(self, bucket: str, name: str, data: bytes, content_type: str) -> dict[str, str]:
        """Make an object visible."""
        with self.lock:
            self._generation += 1
            now = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
            metadata = {
                "kind": "storage#object",
                "name": name,
                "bucket": bucket,
                "size": str(len(data)),
                "generation": str(self._generation),
                "etag": f"E{self._generation}",
                "updated": now,
                "timeCreated": now,
                "contentType": content_type,
                "mediaLink": f"{self.url}/download/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media",
            }
            self.objects[f"{bucket}/{name}"] = (data, metadata)
            return metadata


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: GCSServer

    def log_message(self, *args: object) -> None:
        return

    def respond(self, status: int, content: object = None, **headers: str) -> None:
        body = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status: int, message: str) -> None:
        self.respond(status, {"error": {"code": status, "message": message}}, Content_Type="application/json")

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def fail_if_due(self, body: bytes) -> bool:
        """Return whether a fault was due, and has been sent."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        named = re.search(rb'"name": ?"([^"]+)"', body[:1000])
        path = f"{self.path}&object={named[1].decode()}" if named else self.path
        if "upload_id" in self.query and self.query["upload_id"] in self.server.uploads:
            path += f"&object={self.server.uploads[self.query['upload_id']][0]}"
        fault = self.server.faults.decide(Request(self.command, path, headers, body))
        self.truncates = fault == "truncate"
        if fault is None or self.truncates:
            return False
        self.error(503 if fault == "slow down" else 403, "rejected by the test")
        return True

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}

    def target(self) -> tuple[str, str] | None:
        found = re.match(r"/(?:upload/|download/)?storage/v1/b/([^/]+)/o/?([^?]*)", self.path)
        return (unquote(found[1]), unquote(found[2])) if found else None

    def do_POST(self) -> None:
        body = self.body()
        if self.fail_if_due(body):
            return
        if "upload_id" in self.query:
            self.add_chunk(self.query["upload_id"], body)
            return
        target = self.target()
        if target is None:
            self.error(404, f"no such call: {self.path.split('?')[0]}")
        elif "/rewriteTo/b/" in self.path:
            self.copy()
        elif self.query.get("uploadType") == "resumable":
            name = self.query.get("name") or json.loads(body)["name"]
            upload = uuid.uuid4().hex
            self.server.uploads[upload] = (f"{target[0]}/{name}", bytearray())
            self.server.upload_types[upload] = self.headers["X-Upload-Content-Type"]
            url = f"{self.server.url}/upload/storage/v1/b/{target[0]}/o?uploadType=resumable&upload_id={upload}"
            self.respond(200, Location=url)
        else:
            boundary = re.search(r"boundary=['\"]?([^'\";]+)", self.headers["Content-Type"])
            assert boundary
            _, about, data, _ = re.split(rb"\r?\n?--" + re.escape(boundary[1].encode()), body)
            declared = json.loads(about.split(b"\n\n" if b"\n\n" in about else b"\r\n\r\n", 1)[1])
            name = declared["name"]
            content_type = re.search(rb"Content-Type: ?([^\r\n]+)", data)
            assert content_type
            data = data.split(b"\n\n" if b"\r\n\r\n" not in data[:200] else b"\r\n\r\n", 1)[1]
            with self.server.lock:
                if self.condition_holds(f"{target[0]}/{name}"):
                    if declared.get("md5Hash", md5(data)) != md5(data):
                        self.error(400, "Provided MD5 hash does not match the content.")
                    else:
                        self.respond(200, self.server.keep(target[0], name, data, content_type[1].decode()))

    do_PUT = do_POST

    def condition_holds(self, path: str) -> bool:
        """Return whether ``ifGenerationMatch`` holds; send the error if it does not."""
        required = self.query.get("ifGenerationMatch")
        found = self.server.objects.get(path)
        if required is None or required == (found[1]["generation"] if found else "0"):
            return True
        self.error(412, "At least one of the pre-conditions you specified did not hold.")
        return False

    def copy(self) -> None:
        found = re.match(r"/storage/v1/b/([^/]+)/o/([^/]+)/rewriteTo/b/([^/]+)/o/([^/?]+)", self.path)
        assert found
        source_bucket, source, bucket, name = map(unquote, found.groups())
        data, metadata = self.server.objects[f"{source_bucket}/{source}"]
        resource = self.server.keep(bucket, name, data, metadata["contentType"])
        self.respond(200, {"kind": "storage#rewriteResponse", "done": True, "resource": resource})

    def add_chunk(self, upload: str, body: bytes) -> None:
        if upload not in self.server.uploads:
            self.error(404, "no such upload")
            return
        path, received = self.server.uploads[upload]
        content_range = re.match(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", self.headers["Content-Range"])
        assert content_range
        if content_range[1] is not None and (
            int(content_range[1]) != len(received) or int(content_range[2]) + 1 != len(received) + len(body)
        ):
            self.error(400, "the range does not continue the upload")
            return
        final = content_range[3] != "*"
        if not final and len(body) % CHUNK_SIZE:
            self.error(400, "a chunk other than the last must be a multiple of 256 KiB")
            return
        received += body[: len(body) // 2 // CHUNK_SIZE * CHUNK_SIZE] if self.truncates else body
        if not final:
            self.respond(308, Range=f"bytes=0-{len(received) - 1}")
        elif int(content_range[3]) != len(received):
            self.error(400, "the total does not match what was received")
        elif self.headers.get("X-Goog-Hash", crc32c(received)) != crc32c(received):
            self.error(400, "the content does not match the checksum")
        else:
            del self.server.uploads[upload]
            bucket, name = path.split("/", 1)
            content_type = self.server.upload_types[upload]
            self.respond(200, self.server.keep(bucket, name, bytes(received), content_type))

    def do_DELETE(self) -> None:
        if "upload_id" in self.query:
            self.server.uploads.pop(self.query["upload_id"], None)
            self.respond(499)
            return
        bucket, name = self.target() or ("", "")
        path = f"{bucket}/{name}"
        with self.server.lock:
            if path not in self.server.objects:
                self.error(404, f"No such object: {path}")
            elif self.condition_holds(path):
                del self.server.objects[path]
                self.respond(204)

    def do_GET(self) -> None:
        target = self.target()
        if target is None:
            self.error(404, f"no such call: {self.path.split('?')[0]}")
        elif not target[1]:
            self.list_objects(target[0])
        elif (found := self.server.objects.get("/".join(target))) is None:
            self.error(404, f"No such object: {'/'.join(target)}")
        elif self.query.get("alt") == "media":
            generation = {"x-goog-generation": found[1]["generation"]}
            self.respond(200, found[0], Content_Type="application/octet-stream", **generation)
        else:
            self.respond(200, found[1], Content_Type="application/json")

    def list_objects(self, bucket: str) -> None:
        if bucket.startswith("missing"):
            self.error(404, "The specified bucket does not exist.")
            return
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter")
        items, prefixes = [], set()
        for path, (_, metadata) in sorted(self.server.objects.items()):
            in_bucket, name = path.split("/", 1)
            if in_bucket != bucket or not name.startswith(prefix):
                continue
            if delimiter and delimiter in name[len(prefix) :]:
                prefixes.add(prefix + name[len(prefix) :].split(delimiter)[0] + delimiter)
            else:
                items.append(metadata)
        content = {"kind": "storage#objects", "items": items, "prefixes": sorted(prefixes)}
        self.respond(200, content, Content_Type="application/json")


@contextlib.contextmanager
def run_gcs_server() -> Iterator[GCSServer]:
    """Run the server in a thread while the block runs."""
    server = GCSServer()
    with run_in_thread(server):
        yield server
