# SPDX-License-Identifier: Apache-2.0
"""The control routes under ``/_sandbox/``: JSON, without a key, for clients on the same machine only."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_connectif.sandbox.errors import HttpError
from airflow_provider_connectif.sandbox.exports import Export
from airflow_provider_connectif.sandbox.faults import Fault
from airflow_provider_connectif.sandbox.state import State

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class Control:
    """The control routes."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[Route]:
        """Return the routes."""
        paths: dict[str, dict[str, Callable[[Request], Awaitable[Response]]]] = {
            "stats": {"GET": self.stats},
            "options": {"GET": self.options, "POST": self.change_options},
            "reset": {"POST": self.reset},
            "faults": {"GET": self.faults, "POST": self.add_fault, "DELETE": self.clear_faults},
            "exports": {"POST": self.create_exports},
            "exports/{export_id}": {"POST": self.end_export},
            "exports/{export_id}/file": {"PUT": self.replace_file},
        }
        return [Route(f"/_sandbox/{path}", _Endpoint(handlers)) for path, handlers in paths.items()]

    async def stats(self, request: Request) -> Response:
        """Handle ``GET stats``."""
        return JSONResponse(self._state.stats.as_json())

    async def options(self, request: Request) -> Response:
        """Handle ``GET options``."""
        return JSONResponse(self._state.options.as_json())

    async def change_options(self, request: Request) -> Response:
        """Handle ``POST options``: change the options in the body."""
        self._state.change_options(await _object(request))
        return await self.options(request)

    async def reset(self, request: Request) -> Response:
        """Handle ``POST reset``: return to the initial state."""
        self._state.reset()
        return JSONResponse({})

    async def faults(self, request: Request) -> Response:
        """Handle ``GET faults``: return the queued faults."""
        return JSONResponse([fault.as_json() for fault in self._state.faults.waiting])

    async def add_fault(self, request: Request) -> Response:
        """Handle ``POST faults``: add one to the queue."""
        self._state.faults.add(Fault.from_json(await _object(request)))
        return await self.faults(request)

    async def clear_faults(self, request: Request) -> Response:
        """Handle ``DELETE faults``: empty the queue."""
        self._state.faults.waiting.clear()
        return await self.faults(request)

    async def create_exports(self, request: Request) -> Response:
        """Handle ``POST exports``: create one, or ``count`` of them; see :meth:`State.create_in_app`."""
        body = await _object(request)
        count = body.pop("count", 1)
        if not isinstance(count, int):
            raise ValueError("count: must be an integer")
        exports = [self._state.create_in_app(body) for _ in range(count)]
        return JSONResponse({"ids": [export.id for export in exports]}, 201)

    async def end_export(self, request: Request) -> Response:
        """Handle ``POST exports/{id}``: end it now, with the ``status`` ``finished`` or ``error``."""
        status = (await _object(request)).get("status")
        if status not in ("finished", "error"):
            raise ValueError("status: must be finished or error")
        export = self._find(request)
        self._state.end(export.id, fails=status == "error")
        return JSONResponse({"status": export.status(self._state.options, self._state.now())})

    async def replace_file(self, request: Request) -> Response:
        """Handle ``PUT exports/{id}/file``: replace the export's file with the body."""
        self._state.replace_file(self._find(request), await request.body())
        return JSONResponse({})

    def _find(self, request: Request) -> Export:
        export = self._state.get(request.path_params["export_id"])
        if export is None:
            raise HttpError(404, "The export does not exist")
        return export


class _Endpoint:
    def __init__(self, handlers: Mapping[str, Callable[[Request], Awaitable[Response]]]) -> None:
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if not request.client or not _is_loopback(request.client.host):
            raise HttpError(403, "Control requests are only accepted from the sandbox's own machine")
        handler = self._handlers.get(request.method)
        if handler is None:
            raise HttpError(405, f"{request.method} is not allowed here")
        try:
            response = await handler(request)
        except (ValueError, TypeError) as error:
            raise HttpError(400, str(error)) from None
        await response(scope, receive, send)


def _is_loopback(host: str) -> bool:
    address = ipaddress.ip_address(host)
    # A server that listens on IPv6 sees IPv4 clients as mapped addresses.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


async def _object(request: Request) -> dict[str, Any]:
    body = json.loads(await request.body() or b"{}")
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    return body
