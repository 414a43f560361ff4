# SPDX-License-Identifier: Apache-2.0
"""The hook: an Airflow connection of type ``connectif``, and what can be asked through it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_connectif import __version__
from airflow_provider_connectif.api.credentials import tidy_base_url, tidy_key
from airflow_provider_connectif.api.errors import ConnectifError, InvalidConnection

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_connectif.api.client import ConnectifClient, RetryPolicy
    from airflow_provider_connectif.api.export_request import ExportRequest
    from airflow_provider_connectif.api.models import Export
    from airflow_provider_connectif.files.download.remote_file import RemoteFile


class ConnectifHook(BaseHook):
    """Talks to the Connectif Exports API.

    The connection holds the whole ``keyId:keySecret`` string in Password (or the id in Login and the secret in
    Password), and a base URL in Host, empty for the real API. Extras: ``request_timeout`` (seconds), ``app_url`` and
    ``store_id`` (both for links).

    :param connectif_conn_id: the id of the Airflow connection.
    """

    conn_name_attr = "connectif_conn_id"
    default_conn_name = "connectif_default"
    conn_type = "connectif"
    hook_name = "Connectif"

    def __init__(self, connectif_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.connectif_conn_id = connectif_conn_id
        self._client: ConnectifClient | None = None

    def get_conn(self) -> ConnectifClient:
        """Give the API's client; always the same one.

        :raises InvalidConnection: where the connection's fields cannot be used.
        """
        if self._client is None:
            self._client = self.open_client()
        return self._client

    def open_client(self, *, patience: RetryPolicy | None = None) -> ConnectifClient:
        """Open a client of its own, for a thread or a patience of its own.

        :param patience: how long its requests are tried again.
        :raises InvalidConnection: where the connection's fields cannot be used.
        """
        connection = self.get_connection(self.connectif_conn_id)
        return _client_of(connection, connection.extra_dejson, patience)

    async def open_client_async(self, *, patience: RetryPolicy | None = None) -> ConnectifClient:
        """Open a client from within an event loop, such as the triggerer's, without blocking it.

        :param patience: how long its requests are tried again.
        :raises InvalidConnection: where the connection's fields cannot be used.
        """
        from airflow.providers.common.compat.sdk import Connection

        if hasattr(Connection, "aextra_dejson"):
            connection = await self.aget_connection(self.connectif_conn_id)
            return _client_of(connection, await connection.aextra_dejson(), patience)

        # Airflow 3.0 has no `aget_connection`, and until 3.3.2 it hides secrets by a call that blocks the event loop,
        # or fails while another is under way. In asgiref's own thread, Airflow's blocking calls find their loop.
        from asgiref.sync import sync_to_async

        return await sync_to_async(self.open_client)(patience=patience)

    def list_exports(
        self,
        *,
        export_type: str | None = None,
        status: str | None = None,
        origin: str | None = None,
        created_after: datetime | None = None,
        page_size: int = 50,
    ) -> Iterator[Export]:
        """Walk the exports of the account, whoever made them: lazily, over every page, each once.

        The API documents neither filters nor an order of this list: the filters are applied here, and the order
        is the API's own.

        :param export_type: only this type, such as ``activities``.
        :param status: only this status, such as ``finished``.
        :param origin: only this origin, ``api`` or ``app``.
        :param created_after: only exports made after this moment (aware).
        :param page_size: exports asked for at once.
        :raises ApiError: by kind.
        """
        from airflow_provider_connectif.api.filters import ExportFilter

        export_filter = ExportFilter(export_type=export_type, status=status, origin=origin, created_after=created_after)
        return self.get_conn().list_exports(export_filter, page_size=page_size)

    def get_export(self, export_id: str) -> Export:
        """Read one export.

        :param export_id: its id.
        :raises NotFound: where there is no such export.
        :raises ApiError: by kind.
        """
        return self.get_conn().get_export(export_id)

    def create_export(self, request: ExportRequest) -> Export:
        """Create an export, once: where the API's answer is lost, the export is looked for and found.

        :param request: what to create; :meth:`ExportRequest.of` makes and checks it.
        :raises Refused: where the API does not accept the request.
        :raises ApiError: by kind.
        :raises CreationUnknown: where no export appeared after it was asked for several times.
        """
        from airflow_provider_connectif.api.creation import MemoryRecord, create_once

        client = self.get_conn()
        return client.get_export(create_once(client, request, MemoryRecord()))

    def open_file(self, export_id: str) -> RemoteFile:
        """Open the file of a finished export as a readable, seekable stream.

        It survives broken connections and expired addresses. The file is a ZIP of one or more CSV files.

        :param export_id: its id.
        :raises InvalidArgument: where the export is not finished (when the stream is first read).
        :raises FileError: by kind, while reading.
        """
        from airflow_provider_connectif.api.file_url import fresh_address
        from airflow_provider_connectif.files.download.remote_file import RemoteFile

        return RemoteFile(lambda: fresh_address(self.get_conn(), export_id))

    def test_connection(self) -> tuple[bool, str]:
        """Ask for one page of the list, which needs just the scope that everything else needs.

        :return: whether it works, and what to tell the person who pressed Test.
        """
        from airflow_provider_connectif.api.client import RetryPolicy

        try:
            with self.open_client(patience=RetryPolicy(attempts=2, seconds=15)) as client:
                next(client.list_pages(page_size=1), None)
        except ConnectifError as problem:
            return False, str(problem)
        return True, f"Connectif at {client.base_url} accepts the API key, and it may read exports."


def _client_of(connection: Connection, extra: Mapping[str, Any], patience: RetryPolicy | None) -> ConnectifClient:
    from airflow_provider_connectif.api.client import DEFAULT_TIMEOUT, ConnectifClient

    return ConnectifClient(
        tidy_key(connection.password, connection.login),
        tidy_base_url(connection.host, schema=connection.schema, port=connection.port),
        timeout=_timeout_of(extra.get("request_timeout"), DEFAULT_TIMEOUT),
        patience=patience,
        user_agent=f"airflow-provider-connectif/{__version__}",
    )


def _timeout_of(value: object, default: float) -> float:
    if value is None or value == "":
        return default
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InvalidConnection(
            f"The connection's request_timeout is {value!r}: write a number of seconds, such as 30."
        )
    return seconds
