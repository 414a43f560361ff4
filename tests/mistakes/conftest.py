# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from airflow_provider_connectif.api.client import ConnectifClient
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator
from tests.sensors.conftest import (  # noqa: F401  fixtures
    debug_log,
    running_sandbox,
    sandbox,
    short_lookup_policy,
    simulated_time,
    task,
    task_log,
)
from tests.simulated_clock import CLOCK


@pytest.fixture(autouse=True)
def simulated_time_of_requests(simulated_time: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Every wait uses the simulated clock, which then shows how long it took."""
    monkeypatch.setattr(ConnectifExportToObjectStorageOperator, "_clock", CLOCK.time)
    monkeypatch.setattr(ConnectifExportToObjectStorageOperator, "_sleep", CLOCK.sleep)
    defaults = ConnectifClient.__init__.__kwdefaults__
    for name, function in {"clock": CLOCK.time, "monotonic": CLOCK.monotonic, "sleep": CLOCK.sleep}.items():
        monkeypatch.setitem(defaults, name, function)
