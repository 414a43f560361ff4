# SPDX-License-Identifier: Apache-2.0
"""From a finished export to a folder of the user's store: where the API, the file and Airflow meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.api.file_url import fresh_address
from airflow_provider_connectif.tasks.destination import check_folder, fields_of, name_folder, open_folder, tidy_uri
from airflow_provider_connectif.tasks.progress import Progress, size

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_connectif.api.client import ConnectifClient
    from airflow_provider_connectif.api.models import Export


def stored_already(
    context: Context, *, destination: str, storage_conn_id: str | None, log: Any
) -> dict[str, Any] | None:
    """Find a whole export in the destination, whichever: for ``if_exists="skip"``, before anything is asked for.

    :param context: the task's context.
    :param destination: rendered. One that names fields of the export is not known before the export is.
    :param storage_conn_id: the id of the store's Airflow connection.
    :param log: the task's log.
    :return: what the task returns; None where there is none, or where it cannot be known.
    :raises FileError: where the folder belongs to another task of the same run, or its store fails.
    """
    from airflow_provider_connectif.files.folder.delivery import deliver
    from airflow_provider_connectif.files.folder.manifest import is_intact, read_manifest

    if check_folder(destination):
        return None
    uri = tidy_uri(destination)
    folder = open_folder(uri, storage_conn_id)
    manifest = read_manifest(folder)
    if manifest is None or not is_intact(folder, manifest):
        return None

    def nothing() -> list[Any]:
        raise _NoLongerThere

    try:
        result = deliver(
            nothing,
            folder,
            uri=uri,
            export=manifest.export,
            file_format=manifest.file_format,
            if_exists="skip",
            writer=_writer(context),
        )
    except _NoLongerThere:
        return None
    log.info("Export %s is stored in %s already: nothing is asked for.", result["export_id"], uri)
    return result


def store(
    context: Context,
    client: ConnectifClient,
    export: Export,
    *,
    destination: str,
    storage_conn_id: str | None,
    file_format: str,
    if_exists: str,
    max_uncompressed_bytes: int | None,
    log: Any,
) -> dict[str, Any]:
    """Bring a finished export's files into the destination.

    :param context: the task's context.
    :param client: the API, for fresh addresses.
    :param export: the export; its own address is used first.
    :param destination: rendered; it may name fields of the export.
    :param storage_conn_id: the id of the store's Airflow connection.
    :param file_format: ``csv``, ``csv.gz`` or ``archive``.
    :param if_exists: ``replace``, ``skip`` or ``error``.
    :param max_uncompressed_bytes: the most that the files may take.
    :param log: the task's log.
    :return: what the task returns.
    :raises InvalidArgument: where the destination does not fit this export.
    :raises FileError: by kind.
    """
    zone = getattr(context.get("dag"), "timezone", None) or timezone.utc
    return bring(
        client,
        export,
        uri=name_folder(destination, export, zone),
        storage_conn_id=storage_conn_id,
        file_format=file_format,
        if_exists=if_exists,
        max_uncompressed_bytes=max_uncompressed_bytes,
        writer=_writer(context),
        on_progress=Progress(lambda line: log.info("%s", line)),
        log=log,
    )


def bring(
    client: ConnectifClient,
    export: Export,
    *,
    uri: str,
    storage_conn_id: str | None,
    file_format: str,
    if_exists: str,
    max_uncompressed_bytes: int | None,
    writer: Mapping[str, Any],
    on_progress: Callable[[str, int, int | None], None],
    log: Any,
) -> dict[str, Any]:
    """Bring a finished export's files into a folder, on behalf of whoever asks.

    :param client: the API, for fresh addresses.
    :param export: the export; its own address is used first.
    :param uri: the folder's, its fields filled in.
    :param storage_conn_id: the id of the store's Airflow connection.
    :param file_format: ``csv``, ``csv.gz`` or ``archive``.
    :param if_exists: ``replace``, ``skip`` or ``error``.
    :param max_uncompressed_bytes: the most that the files may take.
    :param writer: who asks, for the manifest.
    :param on_progress: takes an object's name, the bytes written of it, and its final size if known.
    :param log: takes a line at the end.
    :return: what the task returns.
    :raises FileError: by kind.
    """
    from airflow_provider_connectif.files.download.remote_file import RemoteFile
    from airflow_provider_connectif.files.folder.delivery import deliver
    from airflow_provider_connectif.files.unpack.archive import Archive, open_archive

    addresses = [export.file_url] if export.file_url else []
    began: list[str] = []

    def renew() -> str:
        return addresses.pop() if addresses else fresh_address(client, export.id)

    def open_export() -> Archive:
        began.append(export.id)
        return open_archive(
            RemoteFile(renew),
            file_format=file_format,  # type: ignore[arg-type]
            file_name=str(fields_of(export)["file_name"] or f"export-{export.id}"),
            max_uncompressed_bytes=max_uncompressed_bytes,
        )

    result = deliver(
        open_export,
        open_folder(uri, storage_conn_id),
        uri=uri,
        export=export.describe(),
        file_format=file_format,
        if_exists=if_exists,  # type: ignore[arg-type]
        writer=writer,
        on_progress=on_progress,
    )
    total = sum(file["bytes"] for file in result["files"])
    what = f"{len(result['files'])} file(s), {size(total)}, in {uri}"
    if began:
        log.info("Stored export %s: %s.", export.id, what)
    else:
        log.info("Export %s is stored already, nothing was downloaded: %s.", result["export_id"], what)
    return result


class _NoLongerThere(Exception):
    """What was seen in the folder a moment ago is gone."""


def _writer(context: Context) -> dict[str, Any]:
    task_instance = context["ti"]
    return {
        "dag_id": task_instance.dag_id,
        "run_id": task_instance.run_id,
        "task_id": task_instance.task_id,
        "map_index": task_instance.map_index if task_instance.map_index is not None else -1,
    }
