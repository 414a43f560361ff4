# SPDX-License-Identifier: Apache-2.0
"""A local stand-in for the Connectif Exports API: for writing DAGs, and for this package's own tests.

.. code-block:: python

    with Sandbox(SandboxOptions(seconds_per_export=0)).serve() as running:
        requests.get(f"{running.url}/exports", headers={"Authorization": f"apiKey {running.key}"})
"""

from __future__ import annotations

from airflow_provider_connectif.sandbox.options import SandboxOptions
from airflow_provider_connectif.sandbox.server import RunningSandbox, Sandbox

__all__ = ["RunningSandbox", "Sandbox", "SandboxOptions"]
