# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import inspect
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import BaseSensorOperator

from airflow_provider_connectif.sensors.connectif import ConnectifExportSensor
from airflow_provider_connectif.triggers.connectif import ConnectifExportTrigger
from tests.airflow_harness import (  # noqa: F401  fixtures
    FakeTask,
    debug_log,
    sandbox,
    short_lookup_policy,
    task_log,
)
from tests.simulated_clock import CLOCK, running_sandbox, simulated_retries  # noqa: F401  fixtures


@pytest.fixture
def task() -> FakeTask:
    return FakeTask(run_async=CLOCK.run)


@pytest.fixture(autouse=True)
def simulated_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting takes no time: Airflow's sensor, this package's sensor and its trigger use the clock."""
    module = inspect.getmodule(BaseSensorOperator)
    monkeypatch.setattr(module, "time", CLOCK)
    monkeypatch.setattr(module, "timezone", SimpleNamespace(utcnow=CLOCK.utcnow))
    monkeypatch.setattr(ConnectifExportSensor, "_clock", CLOCK.time)
    monkeypatch.setattr(ConnectifExportSensor, "_monotonic", CLOCK.monotonic)
    monkeypatch.setattr(ConnectifExportSensor, "_sleep", CLOCK.sleep)
    monkeypatch.setattr(ConnectifExportTrigger, "_clock", CLOCK.time)
