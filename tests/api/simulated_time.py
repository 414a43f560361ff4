# SPDX-License-Identifier: Apache-2.0
"""A clock that nobody waits for, an API in memory behind the real client, and processes that run side by side."""

from __future__ import annotations

import heapq
import itertools
import json
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import MaxRetryError, NewConnectionError

from airflow_provider_connectif.api.client import ConnectifClient, RetryPolicy

KEY_ID = "kidkidkidkidkidkidkid1"
KEY_SECRET = "topSecretTopSecretTop9"
KEY = f"{KEY_ID}:{KEY_SECRET}"
BASE = "https://api.connectif.test"


class Killed(BaseException):
    """A process is gone: no `except Exception` of its own runs any more."""


class SimulatedTime:
    """Time. Everything that takes time in reality is a step here; sleeping is one too.

    Functions given to `together` run as processes side by side, one step after another in the order of their
    moments, so that a run is exactly repeatable.
    """

    def __init__(self, now: float = 1_793_500_000.0) -> None:
        self.now = now
        self.slept: list[float] = []
        self.latency: Callable[[], float] = lambda: 0.01
        self._queue: list[tuple[float, int, threading.Semaphore]] = []
        self._count = itertools.count()
        self._own = threading.local()
        self._everybody_is_done = threading.Semaphore(0)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.step(seconds)

    def step(self, seconds: float | None = None) -> None:
        """Let time pass: the others' steps that come before are done meanwhile."""
        seconds = self.latency() if seconds is None else seconds
        before = getattr(self._own, "before_step", None)
        if before is not None:
            seconds = before(seconds)
        turn = getattr(self._own, "turn", None)
        if turn is None:
            self.now += seconds
            return
        heapq.heappush(self._queue, (self.now + seconds, next(self._count), turn))
        self._give_turn()
        turn.acquire()

    def alone(self, process: Callable[[], Any], *, kill_at: int = 0) -> tuple[Any, int]:
        """Run one process here, killed at its n-th step; gives its result (`Killed` then) and its steps."""
        steps = itertools.count(1)
        taken = 0

        def before(seconds: float) -> float:
            nonlocal taken
            taken = next(steps)
            if taken == kill_at:
                raise Killed
            return seconds

        self._own.before_step = before
        try:
            return process(), taken
        except Killed:
            return Killed, taken
        finally:
            self._own.before_step = None

    def together(self, *processes: tuple[float, Callable[[], Any]], stall: tuple[int, float] = (0, 0.0)) -> list[Any]:
        """Run processes side by side, each from its moment on; gives each one's result or exception.

        :param stall: the first process's step that takes so many seconds longer.
        """
        results: list[Any] = [None] * len(processes)
        began = self.now

        def run(index: int, turn: threading.Semaphore, process: Callable[[], Any]) -> None:
            steps = itertools.count(1)
            self._own.turn = turn
            if index == 0:
                self._own.before_step = lambda seconds: seconds + (stall[1] if next(steps) == stall[0] else 0)
            turn.acquire()
            try:
                results[index] = process()
            except BaseException as problem:
                results[index] = problem
            if self._queue:
                self._give_turn()
            else:
                self._everybody_is_done.release()

        for index, (start, process) in enumerate(processes):
            turn = threading.Semaphore(0)
            threading.Thread(target=run, args=(index, turn, process), daemon=True).start()
            heapq.heappush(self._queue, (began + start, next(self._count), turn))
        self._give_turn()
        assert self._everybody_is_done.acquire(timeout=30)
        return results

    def _give_turn(self) -> None:
        moment, _, turn = heapq.heappop(self._queue)
        self.now = max(self.now, moment)
        turn.release()


class StoredRecord:
    """A record that outlives processes; what is read is a copy, as from a database."""

    def __init__(self, simulated_time: SimulatedTime) -> None:
        self.simulated_time = simulated_time
        self.text: str | None = None
        self.written: list[dict[str, Any]] = []

    def read(self) -> dict[str, Any] | None:
        self.simulated_time.step()
        text = self.text
        self.simulated_time.step()
        return None if text is None else json.loads(text)

    def write(self, state: dict[str, Any]) -> None:
        self.simulated_time.step()
        self.text = json.dumps(state)
        self.written.append(json.loads(self.text))
        self.simulated_time.step()

    def drop(self) -> None:
        self.simulated_time.step()
        self.text = None
        self.simulated_time.step()

    @property
    def state(self) -> dict[str, Any] | None:
        return None if self.text is None else json.loads(self.text)


class FakeApi(BaseAdapter):
    """The API in memory, as a transport of `requests`: everything above it is the real client.

    `posts` says what becomes of the next creations, one word each: `ok`, `500`, `500 created`, `lost` (created, the
    connection is cut), `cut` (not created), `timeout`, `late` (created `lateness` seconds after it was asked, no answer
    in time), `429`, `422`, `401`, `html` (created, the answer is a page), `unreachable`. After them all is `ok`.
    """

    def __init__(self, simulated_time: SimulatedTime, *, skew: float = 0.0, newest_first: bool = True) -> None:
        super().__init__()
        self.simulated_time = simulated_time
        self.skew = skew
        self.newest_first = newest_first
        self.exports: list[dict[str, Any]] = []
        self.posts: list[str] = []
        self.lists: list[str] = []
        self.lateness = 20.0
        self.posted: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self._coming: list[tuple[float, dict[str, Any]]] = []

    def client(self, *, skew: float = 0.0, timeout: float = 30.0) -> ConnectifClient:
        """A new process's client; its clock is wrong by `skew`."""
        session = requests.Session()
        session.mount(BASE, self)
        return ConnectifClient(
            KEY,
            BASE,
            timeout=timeout,
            retry_policy=RetryPolicy(),
            session=session,
            clock=lambda: self.simulated_time.now + skew,
            sleep=self.simulated_time.sleep,
            random=lambda: 0.5,
        )

    def make(self, body: dict[str, Any], *, origin: str = "api", age: float = 0.0, **others: Any) -> dict[str, Any]:
        """Make an export, asked for by whomever."""
        created = datetime.fromtimestamp(self.simulated_time.now + self.skew - age, tz=timezone.utc)
        export = {
            "id": f"export-{len(self.exports) + 1:04d}",
            "status": "queued",
            "exportType": body.get("exportType", "data-explorer"),
            "origin": origin,
            "createdAt": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "delimiter": body["delimiter"],
            "dateFormat": body.get("dateFormat", "ISO"),
            "version": body.get("version", "v1"),
            "filters": body["filters"],
            **others,
        }
        self.exports.append(export)
        return export

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.simulated_time.step()
        self._let_come()
        self.requests.append(f"{request.method} {request.path_url}")
        timeout = float(kwargs.get("timeout") or 30)
        answer = self._post(request, timeout) if request.method == "POST" else self._get(request)
        self.simulated_time.step()
        return answer

    def close(self) -> None:
        pass

    def _let_come(self) -> None:
        due = [body for moment, body in self._coming if moment <= self.simulated_time.now]
        self._coming = [(moment, body) for moment, body in self._coming if moment > self.simulated_time.now]
        for body in due:
            self.make(body)

    def _post(self, request: requests.PreparedRequest, timeout: float) -> requests.Response:
        fate = self.posts.pop(0) if self.posts else "ok"
        if fate == "unreachable":
            raise requests.ConnectionError(
                MaxRetryError(None, "/exports", NewConnectionError(None, "refused")), request=request
            )
        body = json.loads(request.body or b"")
        if fate == "429":
            return self._answer(request, 429, {}, {"Retry-After": "7"})
        if fate in ("422", "401"):
            return self._answer(request, int(fate), {"title": "No"})
        self.posted.append(body)
        if fate in ("timeout", "late"):
            if fate == "late":
                self._coming.append((self.simulated_time.now + self.lateness, body))
            self.simulated_time.step(timeout)
            raise requests.ReadTimeout("no answer", request=request)
        if fate == "cut":
            raise requests.ConnectionError("cut", request=request)
        if fate == "500":
            return self._answer(request, 500, {})
        export = self.make(body)
        if fate == "lost":
            raise requests.ConnectionError("cut", request=request)
        if fate == "500 created":
            return self._answer(request, 500, {})
        if fate == "html":
            return self._answer(request, 200, "<html>")
        assert fate == "ok", fate
        return self._answer(request, 201, export)

    def _get(self, request: requests.PreparedRequest) -> requests.Response:
        fate = self.lists.pop(0) if self.lists else "ok"
        if fate != "ok":
            return self._answer(request, int(fate), {})
        exports = sorted(self.exports, key=lambda export: export["createdAt"], reverse=self.newest_first)
        page = int((request.path_url.partition("page=")[2] or "1").split("&")[0])
        links = {"next": f"/exports?page={page + 1}"} if page * 50 < len(exports) else {}
        return self._answer(request, 200, {"links": links, "results": exports[(page - 1) * 50 : page * 50]})

    def _answer(
        self, request: requests.PreparedRequest, status: int, body: object, headers: dict[str, str] | None = None
    ) -> requests.Response:
        now = datetime.fromtimestamp(int(self.simulated_time.now + self.skew), tz=timezone.utc)
        response = requests.Response()
        response.status_code = status
        response.url = str(request.url)
        response.request = request
        response.headers = CaseInsensitiveDict({"Date": format_datetime(now, usegmt=True), **(headers or {})})
        response._content = (body if isinstance(body, str) else json.dumps(body)).encode()
        return response
