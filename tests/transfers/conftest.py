# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from tests.airflow_harness import (  # noqa: F401  fixtures
    everything_is_logged,
    quick_grace,
    running_sandbox,
    said,
    sandbox,
    task,
)
