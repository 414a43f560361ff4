# SPDX-License-Identifier: Apache-2.0
"""Storing a finished export: from its signed URL, through its archive, to the objects and the manifest of a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_connectif.api.argument_checks import check_one_of
from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.tasks.column_types import check_column_types, read_column_types
from airflow_provider_connectif.tasks.destination import (
    check_destination,
    fill_destination,
    find_zone_mismatch,
    normalize_uri,
)
from airflow_provider_connectif.tasks.progress import format_size
from airflow_provider_connectif.tasks.stores import destination_errors, open_folder

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient
    from airflow_provider_connectif.api.models import Export
    from airflow_provider_connectif.files.folder.writers import AnnouncementCheck
    from airflow_provider_connectif.files.tables.schema import CheckColumns

FILE_FORMATS = ("csv", "csv.gz", "parquet", "archive")
IF_EXISTS = ("replace", "skip", "error")
ON_SCHEMA_CHANGE = ("warn", "fail", "ignore")

# For completion in editors. The arguments also accept other strings, such as templates.
FileFormat = Literal["csv", "csv.gz", "parquet", "archive"]
IfExists = Literal["replace", "skip", "error"]
OnSchemaChange = Literal["warn", "fail", "ignore"]


@dataclass(frozen=True)
class StoreOptions:
    """Where and how an export is stored.

    The fields are the arguments of the same names of
    :class:`~airflow_provider_connectif.transfers.connectif_to_object_storage.ConnectifExportToObjectStorageOperator`.
    """

    destination: str
    storage_conn_id: str | None = None
    file_format: str = "csv"
    if_exists: str = "replace"
    max_uncompressed_bytes: int | None = None
    column_types: Mapping[str, str] | str | None = None
    on_schema_change: str = "warn"

    def check(self) -> None:
        """Check the options. The destination may contain templates; the others may be
        :data:`~airflow_provider_connectif.api.argument_checks.UNKNOWN`.

        :raises InvalidArgument: for the first option that is wrong
        """
        check_destination(self.destination)
        check_one_of("file_format", self.file_format, FILE_FORMATS)
        check_one_of("if_exists", self.if_exists, IF_EXISTS)
        check_column_types(self.column_types, self.file_format)
        check_one_of("on_schema_change", self.on_schema_change, ON_SCHEMA_CHANGE)
        if self.on_schema_change == "fail" and self.file_format == "archive":
            raise InvalidArgument(
                "on_schema_change",
                "'fail' cannot be combined with file_format='archive', whose columns are not read; use "
                "file_format='csv.gz', or omit on_schema_change.",
            )
        limit = self.max_uncompressed_bytes
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit <= 0):
            raise InvalidArgument("max_uncompressed_bytes", f"{limit!r} is not a positive number of bytes.")

    def check_installed(self) -> None:
        """Check that the libraries for the file format are installed, which a task does before it requests anything.

        :raises ParquetUnavailable: if they are not
        """
        if self.file_format == "parquet":
            from airflow_provider_connectif.files.tables.arrow import import_pyarrow

            import_pyarrow()


def find_stored_export(
    options: StoreOptions,
    *,
    writer: Mapping[str, Any],
    log: Any,
    export_id: str | None = None,
    is_announced: AnnouncementCheck | None = None,
    check_columns: CheckColumns | None = None,
) -> dict[str, Any] | None:
    """Return the result of the complete export that the destination holds, whichever export it is.

    Used for ``if_exists="skip"`` before an export is created. If the destination names fields of the export, the
    folder is not known yet.

    :param writer: the task instance, as the manifest records it
    :param log: where the outcome is logged
    :param export_id: the export that is to be stored, if it exists already
    :param is_announced: returns whether a writer has announced what it stored, such as
        :func:`~airflow_provider_connectif.tasks.writers.announcement_check`
    :param check_columns: compares the columns with those of earlier exports
    :return: what the task returns; None if there is no complete export, or the folder is not known yet
    :raises FileError: if another task of the same run stores in the folder, or the store fails
    """
    from airflow_provider_connectif.files.folder.delivery import find_delivered

    if check_destination(options.destination):
        return None
    uri = normalize_uri(options.destination)
    with destination_errors(uri, options.storage_conn_id):
        store = open_folder(uri, options.storage_conn_id)
        result = find_delivered(
            store,
            uri=uri,
            writer=writer,
            export_id=export_id,
            is_announced=is_announced,
            check_columns=check_columns,
        )
    if result is not None:
        log.info("Export %s is already stored in %s; no export is needed.", result["export_id"], uri)
    return result


def store_export(
    client: ConnectifClient,
    export: Export,
    options: StoreOptions,
    *,
    writer: Mapping[str, Any],
    on_progress: Callable[[str, int, int | None], None],
    log: Any,
    dag: Any = None,
    look_first: bool = True,
    is_announced: AnnouncementCheck | None = None,
    check_columns: CheckColumns | None = None,
) -> dict[str, Any]:
    """Store a finished export's files, unless the folder holds them already.

    :param client: the API, for signed URLs
    :param export: the export; the signed URL that came with it is used first
    :param options: where and how to store it
    :param writer: the task instance, or the command, as the manifest records it
    :param on_progress: called with an object's name, the bytes written so far, and its size, if known
    :param log: where the outcome is logged
    :param dag: the task's DAG, in whose time zone the dates in the destination are written; None writes them in UTC
    :param is_announced: returns whether a writer has announced what it stored, such as
        :func:`~airflow_provider_connectif.tasks.writers.announcement_check`
    :param check_columns: compares the columns with those of earlier exports, before anything becomes visible
    :param look_first: False if this process has looked at the folder already, and it held no export
    :return: what the task returns
    :raises InvalidArgument: if the destination does not fit this export
    :raises FileError: if the file cannot be read, or the store fails
    """
    from airflow_provider_connectif.api.file_url import FileUrls
    from airflow_provider_connectif.files.download.url_policy import UrlPolicy
    from airflow_provider_connectif.files.folder.delivery import deliver
    from airflow_provider_connectif.files.tables.parquet import file_metadata
    from airflow_provider_connectif.files.unpack.archive import open_export_file

    options.check_installed()
    if warning := find_zone_mismatch(options.destination, export, dag):
        log.warning(warning)
    uri = fill_destination(options.destination, export, getattr(dag, "timezone", None) or timezone.utc)
    column_types = read_column_types(options.column_types)
    urls = FileUrls(client, export)
    # Called only if the folder does not hold the export yet.
    open_file = partial(
        open_export_file,
        urls,
        url_policy=UrlPolicy(client.host),
        file_format=options.file_format,
        file_name=export.file_stem or f"export-{export.id}",
        max_uncompressed_bytes=options.max_uncompressed_bytes,
        delimiter=export.delimiter,
        column_types=column_types,
        metadata=file_metadata(export.describe()),
    )
    with destination_errors(uri, options.storage_conn_id):
        result = deliver(
            open_file,
            open_folder(uri, options.storage_conn_id),
            uri=uri,
            export=export.describe(),
            file_format=options.file_format,
            column_types=column_types,
            if_exists=options.if_exists,  # type: ignore[arg-type]
            writer=writer,
            on_progress=on_progress,
            look_first=look_first,
            is_announced=is_announced,
            check_columns=check_columns,
        )
    size = format_size(sum(file["bytes"] for file in result["files"]))
    summary = f"{len(result['files'])} file(s), {size}, in {uri}"
    if urls.used:
        log.info("Stored export %s: %s.", export.id, summary)
    else:
        log.info("Export %s is already stored, nothing was downloaded: %s.", result["export_id"], summary)
    return result
