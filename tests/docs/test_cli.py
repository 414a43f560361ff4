# SPDX-License-Identifier: Apache-2.0
"""docs/cli.md: its commands run in the order of the page, and its options exist."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from airflow_provider_connectif.cli.definition import get_connectif_cli_commands
from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from tests.docs.pages import ROOT, blocks
from tests.forked_airflow import forked_airflow
from tests.leaks import words_before_a_secret

PAGE = ROOT / "docs" / "cli.md"


@pytest.fixture(scope="module")
def options():
    """The options of each command."""
    (connectif,) = get_connectif_cli_commands()
    (exports,) = connectif.subcommands
    return {
        command.name: {arg.flags[-1] for arg in command.args if arg.flags[-1].startswith("-")}
        for command in exports.subcommands
    }


def test_each_command_is_documented(options):
    assert set(re.findall(r"^\| `airflow connectif exports (\w+)", PAGE.read_text(), re.MULTILINE)) == set(options)


def test_each_documented_option_exists(options):
    named = set(re.findall(r"(?<![-\w])--[a-z][a-z-]+", PAGE.read_text()))
    assert named - {"--help"} <= set.union(*options.values())


@pytest.mark.parametrize("command", ["list", "download"])
def test_the_option_tables_are_complete(options, command):
    table = re.search(rf"^\| option of `{command}` .*?\n\n", PAGE.read_text(), re.MULTILINE | re.DOTALL)[0]
    common = {"--connectif-conn-id", "--verbose"} | ({"--output"} if command == "list" else set())
    assert set(re.findall(r"^\| `(--[a-z-]+)`", table, re.MULTILINE)) == options[command] - common


@pytest.mark.system
def test_the_commands_run_in_order(tmp_path):
    script = "\n".join(block.text for block in blocks("bash", page=PAGE))
    with Sandbox(SandboxOptions(seconds_per_export=1, seed=3)).serve(port=0) as sandbox:
        connection = {"AIRFLOW_CONN_CONNECTIF_DEFAULT": sandbox.connection_json}
        program = tmp_path / "program"
        program.mkdir()
        with forked_airflow(program, {**os.environ, **connection, "AIRFLOW_HOME": str(tmp_path)}) as environment:
            command = ["bash", "-euxo", "pipefail", "-c", script]
            run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert sandbox.stats.created_by_api == 3
    assert words_before_a_secret(run.stdout + run.stderr) is None
    (heading,) = [block.text for block in blocks("text", page=PAGE)]
    columns = [" ".join(line.split()) for line in run.stdout.splitlines()]
    assert " ".join(heading.split()) in columns
    assert {str(path.parent.relative_to(tmp_path / "lake")) for path in (tmp_path / "lake").rglob("*.json")} == {
        "purchases",
        "parquet",
        "activities/2026-11-23",
    }
