# SPDX-License-Identifier: Apache-2.0
"""The routes of the Exports API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from airflow_provider_connectif.sandbox.errors import HttpError
from airflow_provider_connectif.sandbox.exports import Export
from airflow_provider_connectif.sandbox.faults import Fault
from airflow_provider_connectif.sandbox.signed_urls import file_host, sign
from airflow_provider_connectif.sandbox.state import State
from airflow_provider_connectif.sandbox.validation import check_data_explorer, check_export
from airflow_provider_connectif.sandbox.wire import CutConnection, Sleep, hold

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

Handler = Callable[[Request], Awaitable[Response]]
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 100
HTML = "<!DOCTYPE html><html><body><h1>We will be back soon</h1></body></html>"


class Resource:
    """A path of the API, which checks the key, the rate limit and the faults before it calls a handler.

    :param name: the path under which requests are counted
    :param handlers: for each method, the name under which its faults are queued (``""`` if it has none), whether it
        writes, and the handler
    """

    def __init__(
        self,
        api: Api,
        name: str,
        handlers: Mapping[str, tuple[str, bool, Callable[..., Awaitable[Response]]]],
    ) -> None:
        self._api = api
        self._name = name
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        scope["sandbox.route"] = f"{request.method} {self._name}"
        api, state = self._api, self._api.state
        headers: dict[str, str] = {}
        on, writes, handler = self._handlers.get(request.method, ("", False, None))
        api.authenticate(request, writes)
        allowed, headers = state.rate_limit.take(state.options, state.now())
        if not allowed:
            raise HttpError(429, "The rate limit was reached", headers=headers)
        try:
            if handler is None:
                raise HttpError(405, f"{request.method} is not allowed here")
            if state.random.random() < state.options.error_share:
                raise HttpError(state.random.choice((500, 503)), "Something went wrong on our side")
            fault = state.take_fault(on, request.path_params.get("export_id", "")) if on else None
            if fault is not None:
                state.stats.count_fault(f"{on}:{fault.kind}")
            if fault is not None and not fault.follows_request:
                response = await api.inject(fault, request)
            elif on == "create":
                response = await handler(request, fault)
            else:
                response = await handler(request)
            if fault is not None and fault.follows_request:
                response = await api.spoil(fault, response)
        except HttpError as error:
            error.headers.update(headers)
            raise
        response.headers.update(headers)
        await response(scope, receive, send)


class Api:
    """The handlers of the API's routes.

    :param sleep: coroutine function that waits for a number of seconds
    """

    def __init__(self, state: State, sleep: Sleep) -> None:
        self.state = state
        self._sleep = sleep
        self._late: set[asyncio.Task[None]] = set()

    def routes(self) -> list[BaseRoute]:
        """Return the routes; each one matches with and without a trailing slash."""
        resources = {
            "/exports": Resource(
                self, "/exports", {"GET": ("list", False, self.list), "POST": ("create", True, self.create)}
            ),
            "/exports/type/data-explorer": Resource(
                self, "/exports/type/data-explorer", {"POST": ("create", True, self.create_data_explorer)}
            ),
            "/exports/{export_id}": Resource(
                self,
                "/exports/{id}",
                {"GET": ("get", False, self.get), "DELETE": ("", True, self.delete)},
            ),
        }
        return [Route(path + end, endpoint) for path, endpoint in resources.items() for end in ("", "/")]

    def authenticate(self, request: Request, writes: bool) -> None:
        """Check the key.

        :raises HttpError: 401 without a body, or 403
        """
        options = self.state.options
        header = request.headers.get("authorization", "")
        next_host = urlsplit(options.next_host).netloc
        if header and _host(request) in {next_host, *self.state.foreign_hosts}:
            self.state.stats.foreign_requests_with_authorization += 1
        scheme, _, key = header.partition(" ")
        if scheme != "apiKey" or key not in (options.key, options.read_only_key, options.blocked_key):
            raise HttpError(401, has_body=False)
        if key == options.blocked_key:
            raise HttpError(403, "The account is blocked")
        if writes and key == options.read_only_key:
            raise HttpError(403, "The API key lacks the required scope: exports write")

    async def list(self, request: Request) -> Response:
        """Handle ``GET /exports``."""
        state = self.state
        number = _page_parameter(request, "page", 1, None)
        size = _page_parameter(request, "pageSize", DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        exports, more = state.page(number, size)
        exports = [export for export in exports if not state.lags_behind(export)]
        links = {}
        if more:
            links["next"] = self._page_url(request, number + 1, size, state.options.next_host)
        elif state.options.paging_loop:
            links["next"] = self._page_url(request, 1, size, state.options.next_host)
        if number > 1:
            links["prev"] = self._page_url(request, number - 1, size, "")
        body = {"links": links, "results": [self._resource(request, export) for export in exports]}
        if state.options.shifting_pages:
            state.create_in_app()
        return JSONResponse(body)

    async def get(self, request: Request) -> Response:
        """Handle ``GET /exports/{id}``."""
        export = self._find(request)
        if self.state.lags_behind(export):
            raise HttpError(404, "The export does not exist")
        return JSONResponse(self._resource(request, export))

    async def delete(self, request: Request) -> Response:
        """Handle ``DELETE /exports/{id}``."""
        self.state.delete(self._find(request).id)
        return Response(status_code=204)

    async def create(self, request: Request, fault: Fault | None) -> Response:
        """Handle ``POST /exports``."""
        body = await _json_object(request)
        check_export(body, self.state.options)
        return await self._create(request, body, body["exportType"], fault)

    async def create_data_explorer(self, request: Request, fault: Fault | None) -> Response:
        """Handle ``POST /exports/type/data-explorer``."""
        body = await _json_object(request)
        check_data_explorer(body, self.state.options)
        return await self._create(request, body, "data-explorer", fault)

    async def inject(self, fault: Fault, request: Request) -> Response:
        """Apply a fault to a request that is not carried out."""
        await request.body()
        if fault.kind == "html":
            return HTMLResponse(HTML, status_code=fault.status or 200)
        if fault.kind == "hang":
            await hold(request.receive, fault.seconds, self._sleep)
            raise CutConnection
        if fault.kind == "cut":
            raise CutConnection
        if fault.kind == "redirect":
            host = file_host(_host(request), self.state.options.file_host)
            self.state.foreign_hosts.add(host)
            url = str(request.url.replace(netloc=host))
            return RedirectResponse(url, fault.status or 307)
        raise HttpError(fault.status, "This fault was requested", headers=fault.response_headers)

    async def spoil(self, fault: Fault, response: Response) -> Response:
        """Apply a fault to the response to a request that was carried out."""
        if fault.kind == "slow":
            await self._sleep(fault.seconds)
        elif fault.kind == "empty":
            return Response(b"", response.status_code, media_type="application/json")
        elif fault.kind == "cut-json":
            body = bytes(response.body)
            return Response(body[: len(body) // 2], response.status_code, media_type="application/json")
        elif fault.kind == "create-then-html":
            return HTMLResponse(HTML, fault.status or 200)
        elif fault.kind == "headers":
            response.headers.update(fault.response_headers)
        return response

    async def _create(self, request: Request, body: dict[str, Any], export_type: str, fault: Fault | None) -> Response:
        kind = fault.kind if fault else ""
        if fault and kind == "create-late":
            task = asyncio.ensure_future(self._create_later(fault.seconds, body, export_type))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            raise HttpError(fault.status or 504, "The export may be created later")
        export = self.state.create(body, export_type=export_type, fails=kind == "then-fails")
        if fault and kind == "create-then-hang":
            await hold(request.receive, fault.seconds, self._sleep)
            raise CutConnection
        if kind == "create-then-cut":
            raise CutConnection
        if fault and kind.startswith("create-then-") and kind != "create-then-html":
            raise HttpError(fault.status, "Something went wrong on our side", headers=fault.response_headers)
        return JSONResponse(self._resource(request, export), status_code=201)

    async def _create_later(self, seconds: float, body: dict[str, Any], export_type: str) -> None:
        stats = self.state.stats
        await self._sleep(seconds)
        if stats is self.state.stats:  # otherwise the state has been reset since
            self.state.create(body, export_type=export_type)

    def _find(self, request: Request) -> Export:
        export = self.state.get(request.path_params["export_id"])
        if export is None:
            raise HttpError(404, "The export does not exist")
        return export

    def _resource(self, request: Request, export: Export) -> dict[str, Any]:
        state = self.state
        now = state.now()
        expires, signature = sign(state.signing_key, export.id, now + state.options.url_seconds)
        host = file_host(_host(request), state.options.file_host)
        url = f"{request.url.scheme}://{host}/files/{export.id}?expires={expires}&signature={signature}"
        return export.resource(state.options, now, url)

    def _page_url(self, request: Request, page: int, size: int, other_base: str) -> str:
        base = other_base.rstrip("/") or f"{request.url.scheme}://{_host(request)}"
        return f"{base}/exports?{urlencode({'page': page, 'pageSize': size})}"


def _host(request: Request) -> str:
    """Return the host and port of the request's URL."""
    return request.headers.get("host") or urlsplit(str(request.url)).netloc


def _page_parameter(request: Request, name: str, default: int, maximum: int | None) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if value < 1 or (maximum is not None and value > maximum):
        reason = "Value must be 1 or more" if maximum is None else f"Value must be from 1 to {maximum}"
        error = {"name": name, "path": f"/{name}", "reason": reason}
        raise HttpError(422, "Validation failed", code="E0103", validation_errors=[error])
    return value


async def _json_object(request: Request) -> dict[str, Any]:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise HttpError(415, "Content-Type must be application/json")
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise HttpError(400, "The body is not valid JSON") from None
    if not isinstance(body, dict):
        raise HttpError(400, "The body is not a JSON object")
    return body
