# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator
from airflow_provider_connectif.triggers.connectif import ConnectifExportTrigger
from tests.airflow_harness import (  # noqa: F401  fixtures
    FakeTask,
    debug_log,
    sandbox,
    short_lookup_policy,
    task_log,
)
from tests.simulated_clock import CLOCK, running_sandbox, simulated_leases, simulated_retries  # noqa: F401  fixtures


@pytest.fixture
def task() -> FakeTask:
    return FakeTask(run_async=CLOCK.run)


@pytest.fixture(autouse=True)
def simulated_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting takes no time: the operator and its trigger use the clock."""
    monkeypatch.setattr(ConnectifExportToObjectStorageOperator, "_clock", CLOCK.time)
    monkeypatch.setattr(ConnectifExportToObjectStorageOperator, "_monotonic", CLOCK.monotonic)
    monkeypatch.setattr(ConnectifExportToObjectStorageOperator, "_sleep", CLOCK.sleep)
    monkeypatch.setattr(ConnectifExportTrigger, "_clock", CLOCK.time)
