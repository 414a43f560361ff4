# SPDX-License-Identifier: Apache-2.0
"""A local stand-in for the Connectif Exports API: for writing DAGs, and for this package's own tests.

.. code-block:: python

    with Sandbox(SandboxOptions(seconds_per_export=0)).serve() as running:
        requests.get(f"{running.url}/exports", headers={"Authorization": f"apiKey {running.key}"})

How it behaves is said by :class:`SandboxOptions`. While it runs, requests to ``/_sandbox/`` control it (JSON, no
key, from the same machine alone); :class:`RunningSandbox` has a method for each:

- ``GET stats``: what was counted
- ``GET`` and ``POST options``: the options; those that are sent are changed
- ``GET``, ``POST`` and ``DELETE faults``: queue a fault, such as ``{"on": "create", "kind": "create-then-cut"}``
- ``POST exports``: an export made in the application, or ``count`` of them
- ``POST exports/{id}``: end an export now, ``{"status": "finished"}`` or ``{"status": "error"}``
- ``PUT exports/{id}/file``: put the request's body in place of an export's file
- ``POST reset``: back to the beginning
"""

from __future__ import annotations

from airflow_provider_connectif.sandbox.options import SandboxOptions
from airflow_provider_connectif.sandbox.server import RunningSandbox, Sandbox

__all__ = ["RunningSandbox", "Sandbox", "SandboxOptions"]
