# SPDX-License-Identifier: Apache-2.0
"""An event trigger's memory: Airflow's ``asset_state_store``, which outlives a killed triggerer (3.3 and later)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_connectif.api.errors import InvalidArgument


class AssetCursorStore:
    """One trigger's cursor among what is kept for its asset.

    :param accessors: the trigger's ``asset_state_store``.
    :param arguments: the trigger's; two triggers of one asset keep a cursor each.
    """

    def __init__(self, accessors: Any, arguments: Mapping[str, Any]) -> None:
        self._accessors = accessors
        said = json.dumps(arguments, sort_keys=True)
        self.key = "connectif_finished_" + hashlib.sha256(said.encode()).hexdigest()[:16]

    async def read(self) -> Any:
        """Give what was written last, None where nothing was.

        :raises InvalidArgument: where several assets share the trigger.
        """
        try:
            return await self._accessors.aget(self.key)
        except ValueError:
            raise _several_assets() from None

    async def write(self, value: Any) -> None:
        """Replace what was written.

        :raises InvalidArgument: where several assets share the trigger.
        """
        try:
            await self._accessors.aset(self.key, value)
        except ValueError:
            raise _several_assets() from None


def _several_assets() -> InvalidArgument:
    # Airflow runs triggers of equal arguments as one, and then has one store for each of its assets.
    return InvalidArgument(
        "consumer",
        "several assets are watched by equal triggers, and Airflow runs those as one. Give each trigger a name of its "
        "own, such as consumer='reports' (the asset's name does).",
    )
