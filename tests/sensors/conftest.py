# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from tests.airflow_harness import (  # noqa: F401  fixtures
    debug_log,
    running_sandbox,
    sandbox,
    short_lookup_policy,
    task,
    task_log,
)
