# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from airflow_provider_connectif.triggers.connectif import ConnectifExportTrigger
from tests.airflow_harness import (  # noqa: F401  fixtures
    debug_log,
    sandbox,
    short_lookup_policy,
    task,
    task_log,
)
from tests.simulated_clock import CLOCK, running_sandbox, simulated_retries  # noqa: F401  fixtures


@pytest.fixture(autouse=True)
def simulated_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConnectifExportTrigger, "_clock", CLOCK.time)
