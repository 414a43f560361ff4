# SPDX-License-Identifier: Apache-2.0
"""The file server: an object store that serves signed URLs, with everything that can go wrong."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from airflow_provider_connectif.sandbox.api import HTML
from airflow_provider_connectif.sandbox.archives import FileBlob, build_file
from airflow_provider_connectif.sandbox.exports import Export
from airflow_provider_connectif.sandbox.faults import Fault
from airflow_provider_connectif.sandbox.options import SandboxOptions
from airflow_provider_connectif.sandbox.ranges import RangeNotSatisfiable, requested_range
from airflow_provider_connectif.sandbox.signed_urls import is_signed
from airflow_provider_connectif.sandbox.state import State
from airflow_provider_connectif.sandbox.wire import CutConnection, Sleep, hold

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_CHUNK = 1 << 18


class StoreError(Exception):
    """An error response of the object store, in XML as S3 sends it."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Return the response."""
        text = f"<Error><Code>{self.code}</Code><Message>{escape(str(self))}</Message></Error>"
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'
        return Response(body, self.status, self.headers, "application/xml")


@dataclass
class _Transfer:
    """How a response is sent: which bytes, and what interrupts them.

    :param cut_after: number of bytes after which the connection is closed, or None
    :param stall_after: number of bytes after which nothing is sent for ``stall_seconds``, or None
    :param cut_after_stall: whether the connection is closed after that
    """

    start: int
    stop: int
    cut_after: int | None = None
    stall_after: int | None = None
    stall_seconds: float = 0.0
    cut_after_stall: bool = False
    bytes_per_second: int = 0


class Files:
    """The file server.

    :param sleep: coroutine function that waits for a number of seconds
    """

    def __init__(self, state: State, sleep: Sleep) -> None:
        self._state = state
        self._sleep = sleep
        self._building: dict[tuple[str, int], asyncio.Task[FileBlob]] = {}

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/files/{export_id}", _Endpoint(self))]

    async def serve(self, request: Request, send: Send) -> None:
        """Handle a request for a file.

        :raises StoreError: if the response is an error
        """
        state, options = self._state, self._state.options
        state.stats.file_requests += 1
        export = self._authorize(request)
        if state.random.random() < options.file_error_share:
            raise _requested_error(state.random.choice((500, 503)))
        fault = state.faults.take("file", export.id)
        if fault:
            state.stats.count_fault(f"file:{fault.kind}")
            if fault.kind == "html":
                await HTMLResponse(HTML, fault.status or 200)(request.scope, request.receive, send)
                return
            if fault.kind == "hang":
                await hold(request.receive, fault.seconds, self._sleep)
                raise CutConnection
            if fault.kind == "cut" and not fault.bytes:
                raise CutConnection
            if fault.kind == "change":
                state.replace_file(export)
            elif fault.status:
                raise _requested_error(fault.status, fault.response_headers)
        await self._send_file(request, send, export, fault)

    def _authorize(self, request: Request) -> Export:
        state = self._state
        if "authorization" in request.headers:
            state.stats.file_requests_with_authorization += 1
            raise StoreError(
                400,
                "InvalidArgument",
                "Only one auth mechanism allowed; only the signature query string parameter or the "
                "Authorization header should be specified",
            )
        if request.method not in ("GET", "HEAD"):
            raise StoreError(405, "MethodNotAllowed", "The specified method is not allowed")
        export_id = request.path_params["export_id"]
        expires = request.query_params.get("expires", "")
        signature = request.query_params.get("signature", "")
        signed = is_signed(state.signing_key, export_id, expires, signature)
        if not signed or (request.method == "HEAD" and not state.options.head):
            raise StoreError(403, "SignatureDoesNotMatch", "The request signature does not match")
        if float(expires) <= state.now():
            raise StoreError(403, "AccessDenied", "Request has expired")
        export = state.get(export_id)
        if export is None or export.status(state.options, state.now()) != "finished":
            raise StoreError(404, "NoSuchKey", "The specified key does not exist")
        return export

    async def _send_file(self, request: Request, send: Send, export: Export, fault: Fault | None) -> None:
        options = self._state.options
        file = await self._file(export)
        size = max(file.blob.size + options.length_lie, 0)
        etag, headers = _headers(export, file, options)
        modified = headers["last-modified"]
        if_match = request.headers.get("if-match")
        if if_match not in (None, "*", etag):
            raise StoreError(412, "PreconditionFailed", "At least one of the pre-conditions did not hold")
        requested = None
        if options.ranges:
            try:
                requested = requested_range(request.headers, size, etag, modified)
            except RangeNotSatisfiable:
                content_range = {"content-range": f"bytes */{size}"}
                raise StoreError(416, "InvalidRange", "The range is not satisfiable", content_range) from None
        transfer = _transfer(requested or (0, size), options, fault)
        if requested:
            headers["content-range"] = f"bytes {transfer.start}-{transfer.stop - 1}/{size}"
        headers |= _checksum_headers(file, options, whole=requested is None)
        if not options.chunked:
            headers["content-length"] = str(transfer.stop - transfer.start)
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 206 if requested else 200, "headers": raw})
        if request.method == "GET":
            await self._send_body(request, send, export, file, transfer)
        await send({"type": "http.response.body", "body": b""})

    async def _send_body(
        self, request: Request, send: Send, export: Export, file: FileBlob, transfer: _Transfer
    ) -> None:
        state = self._state
        options, stats = state.options, state.stats
        position = transfer.start
        while position < transfer.stop:
            sent = position - transfer.start
            room = transfer.stop - position
            if transfer.cut_after is not None:
                if sent >= transfer.cut_after:
                    raise CutConnection
                room = min(room, transfer.cut_after - sent)
            if transfer.stall_after is not None:
                if sent >= transfer.stall_after:
                    transfer.stall_after = None
                    await hold(request.receive, transfer.stall_seconds, self._sleep)
                    if transfer.cut_after_stall:
                        raise CutConnection
                    continue
                room = min(room, transfer.stall_after - sent)
            chunk = next(file.blob.read(position, position + min(room, _CHUNK), self._chunk(transfer)), b"")
            if not chunk:
                raise CutConnection  # the announced length exceeds the file
            before = export.bytes_sent
            chunk, cut = self._interrupt(export, chunk, options)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            position += len(chunk)
            stats.file_bytes += len(chunk)
            if cut and export.bytes_sent > before:
                raise CutConnection
            if transfer.bytes_per_second:
                await self._sleep(len(chunk) / transfer.bytes_per_second)

    def _chunk(self, transfer: _Transfer) -> int:
        return min(max(transfer.bytes_per_second // 10, 1), _CHUNK) if transfer.bytes_per_second else _CHUNK

    def _interrupt(self, export: Export, chunk: bytes, options: SandboxOptions) -> tuple[bytes, bool]:
        """Return the part of a chunk up to the file's next cut or change, and whether it ends in one."""
        before = export.bytes_sent
        cut = False
        if options.cut_every_bytes and (not options.cut_times or export.cuts < options.cut_times):
            room = options.cut_every_bytes - before % options.cut_every_bytes
            if len(chunk) >= room:
                chunk, cut = chunk[:room], True
                export.cuts += 1
        if options.change_after_bytes and not export.changed:
            room = max(options.change_after_bytes - before, 1)
            if len(chunk) >= room:
                chunk, cut = chunk[:room], True
                export.changed = True
                self._state.replace_file(export)
        export.bytes_sent = before + len(chunk)
        return chunk, cut

    async def _file(self, export: Export) -> FileBlob:
        """Return an export's file, which is built once, in another thread, at the first request."""
        file = self._state.cached_file(export)
        if file is None:
            key = (export.id, export.revision)
            if key not in self._building:
                self._building[key] = asyncio.ensure_future(asyncio.to_thread(build_file, export.spec))
            try:
                file = await asyncio.shield(self._building[key])
            finally:
                self._building.pop(key, None)
            self._state.keep_file(export, key[1], file)
        return file


class _Endpoint:
    def __init__(self, files: Files) -> None:
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        scope["sandbox.route"] = f"{request.method} /files/{{id}}"
        try:
            await self._files.serve(request, send)
        except StoreError as error:
            await error.response()(scope, receive, send)


def _requested_error(status: int, headers: Mapping[str, str] | None = None) -> StoreError:
    code = {403: "AccessDenied", 404: "NoSuchKey", 503: "SlowDown"}.get(status, "InternalError")
    return StoreError(status, code, "This fault was requested", headers)


def _transfer(requested: tuple[int, int], options: SandboxOptions, fault: Fault | None) -> _Transfer:
    transfer = _Transfer(*requested, bytes_per_second=options.bytes_per_second)
    if options.stall_after_bytes:
        transfer.stall_after, transfer.stall_seconds = options.stall_after_bytes, options.stall_seconds
    if fault is None:
        return transfer
    if fault.kind == "short":
        transfer.stop = max(transfer.stop - fault.bytes, transfer.start + 1)
    elif fault.kind == "cut":
        transfer.cut_after = fault.bytes
    elif fault.kind == "stall":
        transfer.stall_after, transfer.stall_seconds = fault.bytes, fault.seconds
        transfer.cut_after_stall = True
    elif fault.kind == "drip":
        transfer.bytes_per_second = max(fault.bytes, 1)
    return transfer


def _headers(export: Export, file: FileBlob, options: SandboxOptions) -> tuple[str, dict[str, str]]:
    """Return the ETag and the headers that do not depend on the range."""
    if file.md5 is not None and options.checksums in ("etag", "content-md5"):
        tag = file.md5.hex()
    else:
        digest = hashlib.sha256(f"{export.id}:{export.revision}".encode()).hexdigest()
        tag = f"{digest[:32]}-{file.blob.size // (8 << 20) + 1}"
    etag = f'"{tag}"'
    modified = export.file_changed_at or export.ended_at or export.created_at
    headers = {
        "content-type": "text/csv" if export.extension == "csv" else "application/zip",
        "last-modified": formatdate(modified, usegmt=True),
    }
    if options.checksums != "no-etag":
        headers["etag"] = etag
    if options.ranges:
        headers["accept-ranges"] = "bytes"
    return etag, headers


def _checksum_headers(file: FileBlob, options: SandboxOptions, *, whole: bool) -> dict[str, str]:
    if file.md5 is None:
        return {}
    md5 = b64encode(file.md5).decode()
    if options.checksums == "goog":
        return {"x-goog-hash": f"md5={md5}", "x-goog-stored-content-length": str(file.blob.size)}
    if options.checksums == "content-md5":
        return {"content-md5" if whole else "x-ms-blob-content-md5": md5}
    return {}
