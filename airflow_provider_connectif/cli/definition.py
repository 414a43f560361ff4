# SPDX-License-Identifier: Apache-2.0
"""The arguments of ``airflow connectif …``.

Airflow's command line imports this module at each start, whatever the command, so it imports nothing that is not
imported already. The commands are in :mod:`airflow_provider_connectif.cli.export_command`, imported when one runs.
"""

from __future__ import annotations

from airflow.cli.cli_config import (
    ARG_OUTPUT,
    ARG_VERBOSE,
    ActionCommand,
    Arg,
    CLICommand,
    GroupCommand,
    lazy_load_command,
    positive_int,
    string_list_type,
)

_COMMANDS = "airflow_provider_connectif.cli.export_command"

_CONNECTION = Arg(
    ("--connectif-conn-id",),
    default="connectif_default",
    help="The id of the Airflow connection to Connectif (default: connectif_default)",
)
_EXPORT_ID = Arg(("export_id",), help="The export's id")
_WAIT = Arg(("--wait",), action="store_true", help="Wait until the export is finished")

_FILTERS = (
    Arg(("--type",), help="Only exports of this type, such as activities"),
    Arg(
        ("--status",),
        choices=("queued", "inProgress", "finished", "error", "failed", "cancelled", "canceled"),
        metavar="STATUS",
        help="Only exports with this status: queued, inProgress, finished or error",
    ),
    Arg(
        ("--origin",),
        choices=("app", "api"),
        help="Only exports created in the application (app) or through the API (api)",
    ),
    Arg(("--report-id",), help="Only exports of this Data Explorer report"),
    Arg(
        ("--created-after",),
        metavar="TIME",
        help="Only exports created after this date or time, such as 2026-11-01 or 2026-11-01T06:30:00Z. "
        "Without a time zone, Airflow's default_timezone is used",
    ),
    Arg(("--finished-after",), metavar="TIME", help="Only exports that finished after this date or time"),
    Arg(("--limit",), type=positive_int(allow_zero=False), help="Only this many exports, the newest"),
)

_REQUEST = (
    Arg(("export_type",), choices=("contacts", "activities", "data-explorer"), help="What to export"),
    Arg(("--segment-id",), help="Only contacts in this segment (contacts and activities)"),
    Arg(
        ("--from-date",),
        help="Start. Activities: a date and time with a time zone, such as 2026-11-01T00:00:00Z. Data Explorer: a date",
    ),
    Arg(
        ("--to-date",),
        help="End, like --from-date, at most 31 days later. For Data Explorer this day is included",
    ),
    Arg(
        ("--activity-types",),
        type=string_list_type,
        help="Comma-separated activity types, such as purchase,login (default: all)",
    ),
    Arg(("--report-id",), help="The Data Explorer report"),
    Arg(
        ("--delimiter",),
        default=",",
        choices=(",", ";"),
        metavar="CHARACTER",
        help="The character between fields, ',' or ';' (default: a comma)",
    ),
    Arg(
        ("--date-format",),
        default="ISO",
        choices=("ISO", "L", "LL", "LLL"),
        help="The format of dates (default: ISO; contacts and activities)",
    ),
    Arg(("--version",), help="The version of the columns, such as v5 (contacts and activities)"),
)

_STORE = (
    Arg(
        ("destination",),
        help="A folder: a path, or a URI such as s3://lake/connectif/{export_id}. It may contain fields of the export",
    ),
    Arg(("--storage-conn-id",), help="The id of the store's Airflow connection"),
    Arg(
        ("--file-format",),
        default="csv",
        choices=("csv", "csv.gz", "parquet", "archive"),
        help="csv (the default), csv.gz, parquet, or archive: Connectif's ZIP file, unchanged",
    ),
    Arg(
        ("--column-type",),
        action="append",
        metavar="NAME=TYPE",
        help="The type of a column in Parquet files, such as total=decimal(18,2). Can be given more than once. "
        "Other columns are text",
    ),
    Arg(
        ("--if-exists",),
        default="replace",
        choices=("replace", "skip", "error"),
        help="What to do if the folder holds another export: replace it (the default), skip, or error",
    ),
)


def get_connectif_cli_commands() -> list[CLICommand]:
    """Return the commands that this provider adds to Airflow's command line."""
    exports = (
        ActionCommand(
            name="list",
            help="List the account's exports, the newest first",
            func=lazy_load_command(f"{_COMMANDS}.exports_list"),
            args=(*_FILTERS, _CONNECTION, ARG_OUTPUT, ARG_VERBOSE),
        ),
        ActionCommand(
            name="show",
            help="Show one export",
            func=lazy_load_command(f"{_COMMANDS}.exports_show"),
            args=(_EXPORT_ID, _CONNECTION, ARG_OUTPUT, ARG_VERBOSE),
        ),
        ActionCommand(
            name="create",
            help="Create an export, and print its id",
            func=lazy_load_command(f"{_COMMANDS}.exports_create"),
            args=(*_REQUEST, _WAIT, _CONNECTION, ARG_VERBOSE),
        ),
        ActionCommand(
            name="download",
            help="Store a finished export's files in a folder",
            func=lazy_load_command(f"{_COMMANDS}.exports_download"),
            args=(_EXPORT_ID, *_STORE, _WAIT, _CONNECTION, ARG_OUTPUT, ARG_VERBOSE),
        ),
    )
    return [
        GroupCommand(
            name="connectif",
            help="Work with Connectif's exports",
            subcommands=(
                GroupCommand(name="exports", help="List, show, create and download exports", subcommands=exports),
            ),
        )
    ]
