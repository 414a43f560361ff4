# SPDX-License-Identifier: Apache-2.0
"""The hook: the Exports API, through an Airflow connection of type ``connectif``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_connectif import __version__
from airflow_provider_connectif.api.argument_checks import check_id
from airflow_provider_connectif.api.credentials import normalize_api_key, normalize_base_url
from airflow_provider_connectif.api.errors import ConnectifError, InvalidConnection
from airflow_provider_connectif.tasks.connections import read_connection_async

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_connectif.api.client import ConnectifClient, RetryPolicy
    from airflow_provider_connectif.api.export_request import ExportRequest
    from airflow_provider_connectif.api.models import Export
    from airflow_provider_connectif.files.download.remote_file import RemoteFile


class ConnectifHook(BaseHook):
    """Interact with the Connectif Exports API.

    The connection's Password is the whole ``keyId:keySecret`` string (or its Login is the key id, and its Password the
    secret). Its Host is the base URL, or empty for the real API. Extras: ``request_timeout`` (seconds), and for links
    ``app_url`` and ``store_id``.

    :param connectif_conn_id: the id of the Airflow connection
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
        """Return the API client. Each call returns the same one.

        :raises InvalidConnection: if a field of the connection is missing or invalid
        """
        if self._client is None:
            self._client = self.open_client()
        return self._client

    def open_client(self, *, retry_policy: RetryPolicy | None = None) -> ConnectifClient:
        """Return a new client, such as for another thread, or with another retry policy.

        :param retry_policy: how its requests are retried
        :raises InvalidConnection: if a field of the connection is missing or invalid
        """
        connection = self.get_connection(self.connectif_conn_id)
        return _create_client(connection, connection.extra_dejson, retry_policy, self.connectif_conn_id)

    async def open_client_async(self, *, retry_policy: RetryPolicy | None = None) -> ConnectifClient:
        """Return a new client without blocking the event loop, such as the triggerer's.

        :param retry_policy: how its requests are retried
        :raises InvalidConnection: if a field of the connection is missing or invalid
        """
        connection, extra = await read_connection_async(self.connectif_conn_id)
        return _create_client(connection, extra, retry_policy, self.connectif_conn_id)

    def list_exports(
        self,
        *,
        export_type: str | None = None,
        status: str | None = None,
        origin: str | None = None,
        created_after: datetime | None = None,
        page_size: int = 50,
    ) -> Iterator[Export]:
        """Iterate over the account's exports, page by page, however they were created. Each is returned once.

        The API documents neither filters nor an order for this list. The filters are applied here, and the order is
        the API's.

        :param export_type: only exports of this type, such as ``activities``
        :param status: only exports with this status, such as ``finished``
        :param origin: only exports created through the API (``api``) or in the application (``app``)
        :param created_after: only exports created after this aware datetime
        :param page_size: the number of exports per request
        :raises InvalidArgument: if no export can have a value
        :raises ApiError: if a request fails; see its subclasses
        """
        from airflow_provider_connectif.api.filters import ExportFilter
        from airflow_provider_connectif.tasks.arguments import check_filter

        arguments: dict[str, Any] = {"export_type": export_type, "status": status, "origin": origin}
        check_filter({**arguments, "created_after": created_after})
        export_filter = ExportFilter(**arguments, created_after=created_after)
        return self.get_conn().list_exports(export_filter, page_size=page_size)

    def get_export(self, export_id: str) -> Export:
        """Return one export.

        :param export_id: the export's id
        :raises InvalidArgument: if it is not an id
        :raises NotFound: if there is no such export
        :raises ApiError: if the request fails; see its subclasses
        """
        check_id("export_id", export_id, source="list_exports() returns exports with their ids")
        return self.get_conn().get_export(export_id)

    def create_export(self, request: ExportRequest) -> Export:
        """Create an export, exactly once: if the API's response is lost, find the export in the list.

        :param request: what to create; :meth:`ExportRequest.of` checks the arguments
        :raises Refused: if the API rejects the request
        :raises ApiError: if a request fails; see its subclasses
        :raises CreationOutcomeUnknown: if no export appeared after several requests
        """
        from airflow_provider_connectif.api.creation import create_once
        from airflow_provider_connectif.api.records import MemoryRecord

        client = self.get_conn()
        return client.get_existing_export(create_once(client, request, MemoryRecord()))

    def open_file(self, export_id: str) -> RemoteFile:
        """Open the file of a finished export, a ZIP of one or more CSV files, as a readable, seekable stream.

        Reading resumes after a broken connection, and renews expired signed URLs.

        :param export_id: the export's id
        :raises InvalidArgument: if the export is not finished (when the stream is first read)
        :raises FileError: if reading fails; see its subclasses
        """
        from airflow_provider_connectif.api.file_url import fresh_file_url
        from airflow_provider_connectif.files.download.remote_file import RemoteFile
        from airflow_provider_connectif.files.download.url_policy import UrlPolicy

        client = self.get_conn()
        return RemoteFile(lambda: fresh_file_url(client, export_id), url_policy=UrlPolicy(client.host))

    def test_connection(self) -> tuple[bool, str]:
        """Request one page of the list, which needs no more permissions than everything else does.

        :return: whether it works, and a message for the person who clicked Test
        """
        from airflow_provider_connectif.api.client import RetryPolicy

        connection = self.get_connection(self.connectif_conn_id)
        try:
            # Without its id: Airflow tests a connection under a random one.
            policy = RetryPolicy(attempts=2, seconds=15)
            with _create_client(connection, connection.extra_dejson, policy, name="") as client:
                next(client.list_pages(page_size=1), None)
        except ConnectifError as error:
            return False, str(error)
        return True, f"Connectif at {client.base_url} accepts the API key, which may read exports."


def _create_client(
    connection: Connection, extra: Mapping[str, Any], retry_policy: RetryPolicy | None, name: str
) -> ConnectifClient:
    from airflow_provider_connectif.api.client import DEFAULT_TIMEOUT, ConnectifClient
    from airflow_provider_connectif.api.connection_problems import name_connection

    try:
        return ConnectifClient(
            normalize_api_key(connection.password, connection.login),
            normalize_base_url(connection.host, schema=connection.schema, port=connection.port),
            timeout=_parse_timeout(extra.get("request_timeout"), DEFAULT_TIMEOUT),
            retry_policy=retry_policy,
            user_agent=f"airflow-provider-connectif/{__version__}",
            name=name,
        )
    except InvalidConnection as error:
        raise name_connection(error, name) from None


def _parse_timeout(value: object, default: float) -> float:
    if value is None or value == "":
        return default
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InvalidConnection(
            f"The connection's request_timeout is {value!r}; it must be a positive number of seconds, such as 30."
        )
    return seconds
