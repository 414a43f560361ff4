# SPDX-License-Identifier: Apache-2.0
"""Shared fixtures of the API tests. No test may log or print the API key (promise 6)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_connectif.api.client import ConnectifClient
from tests.api.simulated_time import BASE, KEY, KEY_SECRET, FakeApi, SimulatedTime, StoredRecord


@pytest.fixture(autouse=True)
def key_is_never_logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Log everything, down to DEBUG, and check that the key's secret appears nowhere."""
    caplog.set_level(logging.DEBUG)
    yield
    written = capfd.readouterr()
    texts = [record.getMessage() + str(record.exc_text or "") for record in caplog.get_records("call")]
    assert not [text for text in [*texts, written.out, written.err] if KEY_SECRET in text]


@pytest.fixture
def simulated_time() -> SimulatedTime:
    return SimulatedTime()


@pytest.fixture
def api(simulated_time: SimulatedTime) -> FakeApi:
    return FakeApi(simulated_time)


@pytest.fixture
def record(simulated_time: SimulatedTime) -> StoredRecord:
    return StoredRecord(simulated_time)


@pytest.fixture
def make_client(simulated_time: SimulatedTime) -> Iterator[Callable[..., ConnectifClient]]:
    """Return a function that creates clients with simulated time and without jitter."""
    clients: list[ConnectifClient] = []

    def make(base_url: str = BASE, **arguments: Any) -> ConnectifClient:
        defaults = {
            "clock": simulated_time.clock,
            "monotonic": simulated_time.clock,
            "sleep": simulated_time.sleep,
            "random": lambda: 0.0,
        }
        clients.append(ConnectifClient(KEY, base_url, **{**defaults, **arguments}))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., ConnectifClient]) -> ConnectifClient:
    return make_client()
