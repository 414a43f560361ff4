# SPDX-License-Identifier: Apache-2.0
"""Apache Airflow provider for Connectif's exports."""

from __future__ import annotations

__version__ = "0.1.0"
