# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

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
from tests.simulated_clock import CLOCK, simulated_leases, simulated_retries  # noqa: F401  fixtures


@pytest.fixture(autouse=True)
def simulated_transfer(simulated_time: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Every wait uses the simulated clock, which then shows how long it took."""
    monkeypatch.setattr(ConnectifExportToObjectStorageOperator, "_clock", CLOCK.time)
    monkeypatch.setattr(ConnectifExportToObjectStorageOperator, "_sleep", CLOCK.sleep)
