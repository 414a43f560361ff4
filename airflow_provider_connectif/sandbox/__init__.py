# SPDX-License-Identifier: Apache-2.0
"""A local stand-in for the Connectif Exports API: for writing DAGs, and for this package's own tests.

.. code-block:: python

    with Sandbox(SandboxOptions(seconds_per_export=0)).serve() as running:
        requests.get(f"{running.url}/exports", headers={"Authorization": f"apiKey {running.key}"})

:class:`SandboxOptions` configures its behaviour. While it runs, it is controlled by requests to ``/_sandbox/`` (JSON,
without a key, from the same machine only); :class:`RunningSandbox` has a method for each:

- ``GET stats``: return the counts of requests and exports
- ``GET`` and ``POST options``: return the options, or change those in the body
- ``GET``, ``POST`` and ``DELETE faults``: return the queued faults, add one such as
  ``{"on": "create", "kind": "create-then-cut"}``, or remove them all
- ``POST exports``: create an export, or ``count`` of them, as the application does
- ``POST exports/{id}``: end an export now with ``{"status": "finished"}`` or ``{"status": "error"}``
- ``PUT exports/{id}/file``: replace an export's file with the body
- ``POST reset``: return to the initial state
"""

from __future__ import annotations

from airflow_provider_connectif.sandbox.options import SandboxOptions
from airflow_provider_connectif.sandbox.server import RunningSandbox, Sandbox

__all__ = ["RunningSandbox", "Sandbox", "SandboxOptions"]
