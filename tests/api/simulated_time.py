# SPDX-License-Identifier: Apache-2.0
"""Simulated time, an in-memory API behind the real client, and processes that run concurrently in that time."""

from __future__ import annotations

import heapq
import itertools
import json
import random
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
NOT_FOUND = {"status": 404, "title": "Not found"}


class Killed(BaseException):
    """A process was killed: none of its `except Exception` clauses run."""


class SimulatedTime:
    """A clock in which everything that takes time in reality is a step, including sleeping.

    The functions passed to `run_concurrently` run as concurrent processes, one step at a time in chronological order,
    so that a run is deterministic.
    """

    def __init__(self, now: float = 1_793_500_000.0) -> None:
        self.now = now
        self.slept: list[float] = []
        self.latency: Callable[[], float] = lambda: 0.01
        self._queue: list[tuple[float, int, threading.Semaphore]] = []
        self._count = itertools.count()
        self._thread = threading.local()
        self._all_done = threading.Semaphore(0)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.step(seconds)

    def step(self, seconds: float | None = None) -> None:
        """Let time pass, during which other processes take their steps."""
        seconds = self.latency() if seconds is None else seconds
        before = getattr(self._thread, "before_step", None)
        if before is not None:
            seconds = before(seconds)
        turn = getattr(self._thread, "turn", None)
        if turn is None:
            self.now += seconds
            return
        heapq.heappush(self._queue, (self.now + seconds, next(self._count), turn))
        self._run_next()
        turn.acquire()

    def run_alone(self, process: Callable[[], Any], *, kill_at: int = 0) -> tuple[Any, int]:
        """Run one process, killed at its n-th step; return its result (`Killed` if it was killed) and its steps."""
        steps = itertools.count(1)
        taken = 0

        def before(seconds: float) -> float:
            nonlocal taken
            taken = next(steps)
            if taken == kill_at:
                raise Killed
            return seconds

        self._thread.before_step = before
        try:
            return process(), taken
        except Killed:
            return Killed, taken
        finally:
            self._thread.before_step = None

    def run_concurrently(
        self, *processes: tuple[float, Callable[[], Any]], stall: tuple[int, float] = (0, 0.0)
    ) -> list[Any]:
        """Run processes concurrently, each from its start time; return each one's result or exception.

        :param stall: a step of the first process, and the additional seconds that it takes
        """
        results: list[Any] = [None] * len(processes)
        started = self.now

        def run(index: int, turn: threading.Semaphore, process: Callable[[], Any]) -> None:
            steps = itertools.count(1)
            self._thread.turn = turn
            if index == 0:
                self._thread.before_step = lambda seconds: seconds + (stall[1] if next(steps) == stall[0] else 0)
            turn.acquire()
            try:
                results[index] = process()
            except BaseException as error:
                results[index] = error
            if self._queue:
                self._run_next()
            else:
                self._all_done.release()

        for index, (start, process) in enumerate(processes):
            turn = threading.Semaphore(0)
            threading.Thread(target=run, args=(index, turn, process), daemon=True).start()
            heapq.heappush(self._queue, (started + start, next(self._count), turn))
        self._run_next()
        assert self._all_done.acquire(timeout=30)
        return results

    def _run_next(self) -> None:
        time, _, turn = heapq.heappop(self._queue)
        self.now = max(self.now, time)
        turn.release()


class StoredRecord:
    """A record that survives its processes; reading returns a copy, as a database does."""

    def __init__(self, simulated_time: SimulatedTime) -> None:
        self.time = simulated_time
        self.text: str | None = None
        self.written: list[dict[str, Any]] = []

    def read(self) -> dict[str, Any] | None:
        self.time.step()
        text = self.text
        self.time.step()
        return None if text is None else json.loads(text)

    def write(self, state: dict[str, Any]) -> None:
        self.time.step()
        self.text = json.dumps(state)
        self.written.append(json.loads(self.text))
        self.time.step()

    def drop(self) -> None:
        self.time.step()
        self.text = None
        self.time.step()

    @property
    def state(self) -> dict[str, Any] | None:
        return None if self.text is None else json.loads(self.text)


class FakeApi(BaseAdapter):
    """An in-memory API as a transport of `requests`: everything above it is the real client.

    `posts` has the outcomes of the next creation requests: `ok`, `500`, `500 created`, `lost` (created, but the
    connection breaks), `cut` (not created), `timeout`, `late` (created `lateness` seconds after the request, without a
    response in time), `slow` (like `late`, but the request takes `slowness` seconds to arrive), `429`, `422`, `401`,
    `html` (created, but the response is HTML), `unreachable`. After these, each request succeeds.
    """

    def __init__(self, simulated_time: SimulatedTime, *, skew: float = 0.0, newest_first: bool = True) -> None:
        super().__init__()
        self.time = simulated_time
        self.skew = skew
        self.newest_first = newest_first
        self.list_omits_filters = False
        self.shuffled: random.Random | None = None
        self.slowness = 0.0
        self.exports: list[dict[str, Any]] = []
        self.posts: list[str] = []
        self.lists: list[str] = []
        self.lateness = 20.0
        self.posted: list[dict[str, Any]] = []
        self.arrived = 0
        self.requests: list[str] = []
        self._pending: list[tuple[float, dict[str, Any]]] = []

    def client(self, *, skew: float = 0.0, timeout: float = 30.0) -> ConnectifClient:
        """Return a new process's client, whose clock is wrong by `skew` seconds."""
        session = requests.Session()
        session.mount(BASE, self)
        return ConnectifClient(
            KEY,
            BASE,
            timeout=timeout,
            retry_policy=RetryPolicy(),
            session=session,
            clock=lambda: self.time.now + skew,
            monotonic=self.time.clock,
            sleep=self.time.sleep,
            random=lambda: 0.5,
        )

    def add_export(
        self, body: dict[str, Any], *, origin: str = "api", age: float = 0.0, **others: Any
    ) -> dict[str, Any]:
        """Add an export, as created by any client."""
        created = datetime.fromtimestamp(self.time.now + self.skew - age, tz=timezone.utc)
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
        self.time.step()
        self._create_pending()
        self.requests.append(f"{request.method} {request.path_url}")
        timeout = float(kwargs.get("timeout") or 30)
        response = self._post(request, timeout) if request.method == "POST" else self._get(request)
        self.time.step()
        return response

    def close(self) -> None:
        pass

    def _create_pending(self) -> None:
        due = [body for time, body in self._pending if time <= self.time.now]
        self._pending = [(time, body) for time, body in self._pending if time > self.time.now]
        for body in due:
            self.add_export(body)

    def _post(self, request: requests.PreparedRequest, timeout: float) -> requests.Response:
        outcome = self.posts.pop(0) if self.posts else "ok"
        if outcome == "unreachable":
            raise requests.ConnectionError(
                MaxRetryError(None, "/exports", NewConnectionError(None, "refused")), request=request
            )
        body = json.loads(request.body or b"")
        if outcome == "429":
            return self._respond(request, 429, {}, {"Retry-After": "7"})
        if outcome in ("422", "401"):
            return self._respond(request, int(outcome), {"status": int(outcome), "title": "No"})
        self.posted.append(body)
        if outcome in ("timeout", "late", "slow"):
            if outcome == "slow":
                self.time.step(self.slowness)
            self.arrived += 1
            if outcome != "timeout":
                self._pending.append((self.time.now + self.lateness, body))
            self.time.step(timeout)
            raise requests.ReadTimeout("no response", request=request)
        if outcome == "cut":
            raise requests.ConnectionError("cut", request=request)
        if outcome == "500":
            return self._respond(request, 500, {})
        export = self.add_export(body)
        if outcome == "lost":
            raise requests.ConnectionError("cut", request=request)
        if outcome == "500 created":
            return self._respond(request, 500, {})
        if outcome == "html":
            return self._respond(request, 200, "<html>")
        assert outcome == "ok", outcome
        return self._respond(request, 201, export)

    def _get(self, request: requests.PreparedRequest) -> requests.Response:
        outcome = self.lists.pop(0) if self.lists else "ok"
        if outcome != "ok":
            return self._respond(request, int(outcome), {"status": int(outcome), "title": "No"})
        export_id = request.path_url.partition("/exports/")[2]
        if export_id:
            found = [export for export in self.exports if export["id"] == export_id]
            return self._respond(request, 200, found[0]) if found else self._respond(request, 404, NOT_FOUND)
        exports = sorted(self.exports, key=lambda export: export["createdAt"], reverse=self.newest_first)
        if self.shuffled is not None:
            exports = self.shuffled.sample(exports, len(exports))
        page = int((request.path_url.partition("page=")[2] or "1").split("&")[0])
        links = {"next": f"/exports?page={page + 1}"} if page * 50 < len(exports) else {}
        results = exports[(page - 1) * 50 : page * 50]
        if self.list_omits_filters:
            results = [{name: value for name, value in each.items() if name != "filters"} for each in results]
        return self._respond(request, 200, {"links": links, "results": results})

    def _respond(
        self, request: requests.PreparedRequest, status: int, body: object, headers: dict[str, str] | None = None
    ) -> requests.Response:
        now = datetime.fromtimestamp(int(self.time.now + self.skew), tz=timezone.utc)
        response = requests.Response()
        response.status_code = status
        response.url = str(request.url)
        response.request = request
        response.headers = CaseInsensitiveDict({"Date": format_datetime(now, usegmt=True), **(headers or {})})
        response._content = (body if isinstance(body, str) else json.dumps(body)).encode()
        return response
