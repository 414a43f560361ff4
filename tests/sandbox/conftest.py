# SPDX-License-Identifier: Apache-2.0
"""One sandbox for all of these tests, reset before each, with a clock that stands still until it is moved."""

from __future__ import annotations

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
    """A clock that shows what it was set to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds


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
        answer = self.post(path, body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def export(self, export_id: str) -> dict[str, Any]:
        return self.get(f"/exports/{export_id}").json()

    def file(self, export_id: str, method: str = "GET", **headers: str) -> requests.Response:
        """Ask a fresh address for the export's file, without the key."""
        url = self.export(export_id)["fileUrl"]
        return requests.request(method, url, headers=headers, timeout=10)

    def tables(self, export_id: str, delimiter: str = ",") -> dict[str, list[list[str]]]:
        """Return the rows of each CSV in the export's ZIP, by its name."""
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
    with Sandbox(SandboxOptions(seconds_per_export=0), clock=clock).serve() as running:
        yield running


@pytest.fixture
def sandbox(_running: RunningSandbox, clock: Clock) -> RunningSandbox:
    """A sandbox without exports, where each export is finished at once, at noon of 2023-04-26."""
    clock.now = NOON
    _running.reset()
    return _running


@pytest.fixture
def client(sandbox: RunningSandbox) -> Iterator[Client]:
    client = Client(sandbox)
    with client.session:
        yield client
