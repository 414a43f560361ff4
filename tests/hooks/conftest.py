# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from tests.airflow_harness import (  # noqa: F401  fixtures
    debug_log,
    sandbox,
    short_lookup_policy,
    task,
    task_log,
)
from tests.simulated_clock import running_sandbox, simulated_retries  # noqa: F401  fixtures
