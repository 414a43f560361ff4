# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from airflow_provider_connectif.api.client import ConnectifClient
from airflow_provider_connectif.sensors.connectif import ConnectifExportSensor
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator
from airflow_provider_connectif.triggers.connectif import ConnectifExportTrigger
from tests.airflow_harness import (  # noqa: F401  fixtures
    FakeTask,
    debug_log,
    sandbox,
    short_lookup_policy,
    task_log,
)
from tests.simulated_clock import CLOCK, running_sandbox  # noqa: F401  fixtures


@pytest.fixture
def task() -> FakeTask:
    return FakeTask(run_async=CLOCK.run)


@pytest.fixture(autouse=True)
def simulated_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wait uses the simulated clock, which then shows how long it took."""
    monkeypatch.setattr(ConnectifExportToObjectStorageOperator, "_clock", CLOCK.time)
    monkeypatch.setattr(ConnectifExportToObjectStorageOperator, "_sleep", CLOCK.sleep)
    monkeypatch.setattr(ConnectifExportSensor, "_clock", CLOCK.time)
    monkeypatch.setattr(ConnectifExportTrigger, "_clock", CLOCK.time)
    simulated = {"clock": CLOCK.time, "monotonic": CLOCK.monotonic, "sleep": CLOCK.sleep}
    defaults = ConnectifClient.__init__.__kwdefaults__
    for name in simulated.keys() & defaults.keys():
        monkeypatch.setitem(defaults, name, simulated[name])
