# SPDX-License-Identifier: Apache-2.0
"""One sandbox for all of these tests, which is reset before each test and has a simulated clock."""

from __future__ import annotations

import asyncio
import csv
import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_connectif.sandbox import RunningSandbox, Sandbox, SandboxOptions

NOON = 1682510400.0  # 2023-04-26T12:00:00Z


class Clock:
    """A simulated clock, which the test moves, and the sandbox by sleeping.

    :ivar paused: whether a sleep lasts until the test has moved the clock, instead of moving it
    :ivar sleeping: number of sleeps in progress
    """

    def __init__(self) -> None:
        self.reset()

    def __call__(self) -> float:
        return self.now

    def reset(self) -> None:
        self.now = NOON
        self.paused = False
        self.sleeping = 0

    def move(self, seconds: float) -> None:
        self.now += seconds

    async def sleep(self, seconds: float) -> None:
        end = self.now + seconds
        if not self.paused:
            self.now = end
        self.sleeping += 1
        try:
            while self.now < end:
                await asyncio.sleep(0.001)
        finally:
            self.sleeping -= 1


class Client:
    """Shorthands for requests to a sandbox."""

    def __init__(self, running: RunningSandbox) -> None:
        self.running = running
        self.key = running.key
        self.session = requests.Session()

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"apiKey {self.key}", **more.pop("headers", {})}
        url = path if path.startswith("http") else self.running.url + path
        return self.session.request(method, url, headers=headers, timeout=10, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.call("GET", path, **more)

    def post(self, path: str, body: Any, **more: Any) -> requests.Response:
        return self.call("POST", path, json=body, **more)

    def contacts(self, **changes: Any) -> dict[str, Any]:
        return {"exportType": "contacts", "delimiter": ",", "dateFormat": "ISO", **changes}

    def activities(self, **changes: Any) -> dict[str, Any]:
        filters = {"fromDate": "2023-03-01T00:00:00Z", "toDate": "2023-04-01T00:00:00Z"}
        return {**self.contacts(exportType="activities"), "filters": filters, **changes}

    def report(self, **changes: Any) -> dict[str, Any]:
        filters = {"reportId": "r1", "fromDate": "2023-03-26", "toDate": "2023-04-25"}
        return {"delimiter": ",", "filters": {**filters, **changes}}

    def create(self, body: dict[str, Any] | None = None) -> dict[str, Any]:
        body = body or self.contacts()
        path = "/exports" if "exportType" in body else "/exports/type/data-explorer"
        response = self.post(path, body)
        assert response.status_code == 201, response.text
        return response.json()

    def export(self, export_id: str) -> dict[str, Any]:
        return self.get(f"/exports/{export_id}").json()

    def file(self, export_id: str, method: str = "GET", **headers: str) -> requests.Response:
        """Request the export's file with a new signed URL, without the key."""
        url = self.export(export_id)["fileUrl"]
        return requests.request(method, url, headers=headers, timeout=10)

    def tables(self, export_id: str, delimiter: str = ",") -> dict[str, list[list[str]]]:
        """Return the rows of each CSV file in the export's ZIP by name."""
        with zipfile.ZipFile(io.BytesIO(self.file(export_id).content)) as archive:
            return {
                name: list(csv.reader(io.StringIO(archive.read(name).decode(), newline=""), delimiter=delimiter))
                for name in archive.namelist()
            }

    def control(self, method: str, path: str, **more: Any) -> requests.Response:
        return requests.request(method, f"{self.running.url}/_sandbox/{path}", timeout=10, **more)


@pytest.fixture(scope="session")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def _running(clock: Clock) -> Iterator[RunningSandbox]:
    with Sandbox(SandboxOptions(seconds_per_export=0), clock=clock, sleep=clock.sleep).serve() as running:
        yield running


@pytest.fixture
def sandbox(_running: RunningSandbox, clock: Clock) -> RunningSandbox:
    """A sandbox without exports, in which each export finishes immediately, at noon on 2023-04-26."""
    clock.reset()
    _running.reset()
    return _running


@pytest.fixture
def client(sandbox: RunningSandbox) -> Iterator[Client]:
    client = Client(sandbox)
    with client.session:
        yield client
