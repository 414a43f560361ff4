# SPDX-License-Identifier: Apache-2.0
"""The commands ``airflow connectif exports …``, which do what the hook and the operators do."""

from __future__ import annotations

import sys
import time
import uuid
from argparse import Namespace
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.api.argument_checks import check_id
from airflow_provider_connectif.api.errors import ExportFailed, InvalidArgument
from airflow_provider_connectif.cli.console import ConsoleLog, command
from airflow_provider_connectif.hooks.connectif import ConnectifHook
from airflow_provider_connectif.tasks.arguments import REQUEST_ARGUMENTS, check_filter

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import ConnectifClient
    from airflow_provider_connectif.api.models import Export

_FILTERS = ("status", "origin", "report_id", "created_after", "finished_after")
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0


@command
def exports_list(args: Namespace) -> None:
    """Print the account's exports, the newest first."""
    from airflow_provider_connectif.api.filters import ExportFilter
    from airflow_provider_connectif.cli.output import print_exports

    arguments = {"export_type": args.type, **{name: getattr(args, name) for name in _FILTERS}}
    for name in ("created_after", "finished_after"):
        if arguments[name] is not None:
            arguments[name] = _parse_datetime(name, arguments[name])
    try:
        check_filter(arguments)
    except InvalidArgument as error:
        raise InvalidArgument(error.argument.replace("export_type", "type"), error.problem) from None
    export_filter = ExportFilter(**arguments)
    with ConnectifHook(args.connectif_conn_id).get_conn() as client:
        found = client.list_exports(export_filter)
        # The API documents no order, so the newest are known only when all have been read.
        exports = sorted(found, key=_created_at, reverse=True)
    print_exports(exports[: args.limit], args.output)


@command
def exports_show(args: Namespace) -> None:
    """Print everything about one export."""
    from airflow_provider_connectif.cli.output import print_export

    _check_export_id(args.export_id)
    with ConnectifHook(args.connectif_conn_id).get_conn() as client:
        print_export(client.get_export(args.export_id), args.output)


@command
def exports_create(args: Namespace) -> None:
    """Create an export, print its id, and with ``--wait`` wait for it."""
    from airflow_provider_connectif.api.creation import create_once
    from airflow_provider_connectif.api.export_request import ExportRequest
    from airflow_provider_connectif.api.records import MemoryRecord

    request = ExportRequest.of(**{name: getattr(args, name) for name in REQUEST_ARGUMENTS})
    with ConnectifHook(args.connectif_conn_id).get_conn() as client:
        export_id = create_once(client, request, MemoryRecord())
        # Before waiting, so that the id is known even if the command is interrupted.
        sys.stdout.write(f"{export_id}\n")
        sys.stdout.flush()
        if args.wait:
            wait_for(client, export_id, ConsoleLog())


@command
def exports_download(args: Namespace) -> None:
    """Store an export's files in a folder, as the operator does, and print the files that are there."""
    from airflow_provider_connectif.cli.output import print_files
    from airflow_provider_connectif.cli.progress import show_progress
    from airflow_provider_connectif.tasks.transfer import StoreOptions, store_export

    log = ConsoleLog()
    _check_export_id(args.export_id)
    destination = args.destination if "://" in args.destination else str(Path(args.destination).absolute())
    options = StoreOptions(
        destination,
        args.storage_conn_id,
        args.file_format,
        args.if_exists,
        column_types=_parse_column_types(args.column_type),
    )
    try:
        options.check()
    except InvalidArgument as error:
        raise InvalidArgument(error.argument.replace("column_types", "column_type"), error.problem) from None
    options.check_installed()
    # Each call is a run: two calls with the same folder replace each other's export, as two runs of a DAG do.
    writer = {"command": "airflow connectif exports download", "run_id": uuid.uuid4().hex}
    with ConnectifHook(args.connectif_conn_id).get_conn() as client:
        if args.wait:
            wait_for(client, args.export_id, log)
        export = _check_finished(client.get_export(args.export_id))
        with show_progress(sys.stderr) as on_progress:
            result = store_export(client, export, options, writer=writer, on_progress=on_progress, log=log)
    print_files(result["files"], args.output)


def wait_for(client: ConnectifClient, export_id: str, log: Any, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until an export is finished; poll often at first, then less often.

    :param log: where progress is logged
    :param sleep: takes seconds
    :raises ExportFailed: if the export has failed
    :raises ApiError: if the API refuses the request
    """
    from airflow_provider_connectif.api.polling.wait import ExportWait

    ExportWait([export_id], log=log).run(client, _intervals(), sleep=sleep)


def _parse_column_types(texts: list[str] | None) -> dict[str, str]:
    types = {}
    for text in texts or ():
        name, separator, kind = text.rpartition("=")
        if not separator:
            raise InvalidArgument("column_type", f"{text!r} is not NAME=TYPE; write one such as total=decimal(18,2).")
        if name in types:
            raise InvalidArgument("column_type", f"{name!r} is given twice.")
        types[name] = kind
    return types


def _check_export_id(export_id: str) -> None:
    check_id("export_id", export_id, source="airflow connectif exports list shows the ids")


def _intervals() -> Iterator[float]:
    interval = _FIRST_PAUSE
    while True:
        yield interval
        interval = min(1.5 * interval, _LONGEST_PAUSE)


def _check_finished(export: Export) -> Export:
    if export.failed:
        raise ExportFailed(export.id, export.status)
    if not export.finished:
        raise InvalidArgument(
            "export_id", f"export {export.id} is not finished ({export.describe_progress()}); add --wait."
        )
    return export


def _created_at(export: Export) -> datetime:
    return export.created_at or datetime.min.replace(tzinfo=timezone.utc)


def _parse_datetime(name: str, text: str) -> datetime:
    from airflow.sdk import timezone as airflow_timezone

    try:
        return airflow_timezone.parse(text)
    except Exception:
        raise InvalidArgument(
            name, f"{text!r} is not a date or time; write one such as 2026-11-01 or 2026-11-01T06:30:00Z."
        ) from None
