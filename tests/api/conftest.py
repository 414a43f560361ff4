# SPDX-License-Identifier: Apache-2.0
"""What the tests of the API's room share. No test of it may write the key anywhere (promise 6)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_connectif.api.client import ConnectifClient
from tests.api.simulated_time import BASE, KEY, KEY_SECRET, SimulatedTime


@pytest.fixture(autouse=True)
def key_is_never_logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Everything is logged, down to DEBUG, and the key's secret is looked for in it."""
    caplog.set_level(logging.DEBUG)
    yield
    written = capfd.readouterr()
    texts = [record.getMessage() + str(record.exc_text or "") for record in caplog.get_records("call")]
    assert not [text for text in [*texts, written.out, written.err] if KEY_SECRET in text]


@pytest.fixture
def simulated_time() -> SimulatedTime:
    return SimulatedTime()


@pytest.fixture
def make_client(simulated_time: SimulatedTime) -> Iterator[Callable[..., ConnectifClient]]:
    """Makes clients that sleep by the simulated_time's clock, and never at random."""
    made: list[ConnectifClient] = []

    def make(base_url: str = BASE, **arguments: Any) -> ConnectifClient:
        defaults = {"clock": simulated_time.clock, "sleep": simulated_time.sleep, "random": lambda: 0.0}
        made.append(ConnectifClient(KEY, base_url, **{**defaults, **arguments}))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., ConnectifClient]) -> ConnectifClient:
    return make_client()
