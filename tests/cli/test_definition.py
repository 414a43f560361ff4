# SPDX-License-Identifier: Apache-2.0
"""The arguments of `airflow connectif`, and its effect on the start of other commands."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest
from airflow.cli.cli_config import GroupCommand

from airflow_provider_connectif.api.export_request import CREATABLE_TYPES, DATE_FORMATS, DELIMITERS
from airflow_provider_connectif.cli.definition import get_connectif_cli_commands
from airflow_provider_connectif.operators.connectif import ConnectifCreateExportOperator
from airflow_provider_connectif.tasks.transfer import FILE_FORMATS, IF_EXISTS
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator


@pytest.fixture
def commands():
    (connectif,) = get_connectif_cli_commands()
    (exports,) = connectif.subcommands
    assert isinstance(exports, GroupCommand)
    return {command.name: command for command in exports.subcommands}


def options(command):
    """Return the arguments that argparse gets, by name."""
    return {arg.flags[-1].strip("-").replace("-", "_"): arg.kwargs for arg in command.args}


def signature(operator):
    return inspect.signature(inspect.unwrap(operator.__init__)).parameters


def test_there_are_four_commands(commands):
    assert set(commands) == {"list", "show", "create", "download"}


def test_create_has_the_operators_arguments_with_the_same_defaults(commands):
    taken = options(commands["create"])
    theirs = {name: each.default for name, each in signature(ConnectifCreateExportOperator).items()}
    del theirs["self"], theirs["kwargs"], theirs["export_type"]
    assert {name: taken[name].get("default") for name in theirs} == theirs
    assert set(taken) == {*theirs, "export_type", "wait", "verbose"}


def test_download_has_the_operators_arguments_with_the_same_defaults(commands):
    taken = options(commands["download"])
    theirs = signature(ConnectifExportToObjectStorageOperator)
    for name in ("storage_conn_id", "file_format", "if_exists", "connectif_conn_id"):
        assert taken[name].get("default") == theirs[name].default


@pytest.mark.parametrize(
    ("command", "argument", "choices"),
    [
        ("create", "export_type", CREATABLE_TYPES),
        ("create", "delimiter", DELIMITERS),
        ("create", "date_format", DATE_FORMATS),
        ("download", "file_format", FILE_FORMATS),
        ("download", "if_exists", IF_EXISTS),
    ],
)
def test_choices_are_those_of_the_api_and_of_the_operators(commands, command, argument, choices):
    assert options(commands[command])[argument]["choices"] == choices


def test_importing_it_imports_nothing_else():
    code = (
        "import json, sys; import airflow.cli.cli_config; before = set(sys.modules);"
        "from airflow_provider_connectif.cli.definition import get_connectif_cli_commands as get; get();"
        "print('LOADED', json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("LOADED ")]
    # The package itself is imported already: Airflow reads its metadata at each start.
    assert json.loads(line.removeprefix("LOADED ")) == [
        "airflow_provider_connectif.cli",
        "airflow_provider_connectif.cli.definition",
    ]
