# SPDX-License-Identifier: Apache-2.0
"""Reading a connection in an event loop, such as the triggerer's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection


async def read_connection_async(connectif_conn_id: str) -> tuple[Connection, Mapping[str, Any]]:
    """Return a connection and its extra without blocking the event loop.

    :param connectif_conn_id: the id of the connection
    """
    from airflow.providers.common.compat.sdk import BaseHook, Connection

    if hasattr(Connection, "aextra_dejson"):
        connection = await BaseHook.aget_connection(connectif_conn_id)
        return connection, await connection.aextra_dejson()

    # Airflow 3.0 has no `aget_connection`. Until 3.3.2, masking the connection's secrets blocks the event loop, or
    # fails while another such call is running. In asgiref's thread, Airflow's blocking calls find their event loop.
    from asgiref.sync import sync_to_async

    def read() -> tuple[Connection, Mapping[str, Any]]:
        connection = BaseHook.get_connection(connectif_conn_id)
        return connection, connection.extra_dejson

    return await sync_to_async(read)()
