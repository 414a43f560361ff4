# SPDX-License-Identifier: Apache-2.0
"""The links, commands, options, arguments, messages and file names on the pages are right."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, blocks

PACKAGE = ROOT / "airflow_provider_connectif"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def relative_names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("page", PAGES, ids=relative_names(PAGES))
def test_links_are_not_broken(page):
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_images_are_small_and_have_an_alternative_text():
    shown = {}
    for page in PAGES:
        for words, path in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", page.read_text()):
            assert len(words.split()) > 4, f"{page.name}: {path}"
            shown[(page.parent / path).resolve()] = words
    pictures = set((ROOT / "docs/images").iterdir())
    assert pictures == set(shown)
    assert {path.name: path.stat().st_size for path in pictures if path.stat().st_size > 150_000} == {}


@pytest.mark.parametrize("page", PAGES, ids=relative_names(PAGES))
def test_lines_are_no_longer_than_those_of_the_code(page):
    assert [line for line in page.read_text().splitlines() if len(line) > 120] == []


@pytest.mark.parametrize("page", PAGES, ids=relative_names(PAGES))
def test_the_files_it_mentions_exist(page):
    mentioned = re.findall(r"`((?:tests|scripts|example_dags|airflow_provider_connectif)/[\w./]+)`", page.read_text())
    assert [path for path in mentioned if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=relative_names(PAGES))
def test_the_make_targets_it_mentions_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [line for block in blocks("bash", page=page) for line in block.text.splitlines()]
    commands += re.findall(r"`(make [^`]*)`", page.read_text())
    mentioned = {found[1] for command in commands if (found := re.match(r"make (?:[A-Z]+=\S+ )?([a-z-]+)", command))}
    assert mentioned <= targets


def test_the_index_lists_every_page_of_the_folder():
    listed = set(LINK.findall((ROOT / "docs/index.md").read_text()))
    pages = {str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/**/*.md")}
    assert pages - {"index.md"} <= {link.partition("#")[0] for link in listed}


def test_the_index_lists_every_example():
    text = (ROOT / "docs/index.md").read_text()
    assert [path.name for path in ROOT.glob("example_dags/*.py") if f"`{path.name}`" not in text] == []


def test_json_blocks_are_valid():
    found = blocks("json")
    for block in found:
        json.loads(block.text)
    assert found


def test_airflow_can_read_the_connections_in_shell_commands():
    from airflow.sdk import Connection

    found = [
        match for block in blocks("bash") for match in re.findall(r"AIRFLOW_CONN_\w+='(.*?)'", block.text, re.DOTALL)
    ]
    for text in found:
        read = Connection.from_json if text.startswith("{") else Connection.from_uri
        assert read(text, conn_id="example").conn_type
    assert len(found) >= 5


def test_the_sandbox_options_exist():
    from airflow_provider_connectif.sandbox.__main__ import parser

    known = {option for action in parser()._actions for option in action.option_strings}
    mentioned = set(re.findall(r"(?<![-\w])--[a-z][a-z-]+", (ROOT / "docs/sandbox.md").read_text()))
    assert mentioned <= known
    assert {"--rate-limit", "--quiet"} <= mentioned


def test_all_control_endpoints_of_the_sandbox_are_documented():
    from airflow_provider_connectif.sandbox.control import Control

    text = (ROOT / "docs/sandbox.md").read_text()
    assert [
        route.path for route in Control(None).routes() if f"{route.path.replace('export_id', 'id')}`" not in text
    ] == []


REFERENCE = ROOT / "docs/reference.md"
OPERATORS = ("create", "list", "wait", "store")


def table_rows(first_column, text):
    """Return the cells of the first table whose first column has this title."""
    table = re.search(rf"^\| {first_column} \|.*?\n\n", text, re.MULTILINE | re.DOTALL)[0]
    return [[cell.strip() for cell in row.strip()[1:-1].split("|")] for row in table.strip().splitlines()[2:]]


def parameters_of(cls):
    signature = inspect.signature(inspect.unwrap(cls.__init__))
    return {name: found for name, found in signature.parameters.items() if name not in ("self", "kwargs")}


def assert_default(documented, parameter):
    """Check a default in a table: a value, or ``required``."""
    if documented == "required":
        assert parameter.default is inspect.Parameter.empty
    else:
        assert parameter.default == ast.literal_eval(documented.strip("`"))


@pytest.fixture(scope="module")
def documented():
    """The arguments of each operator in the table of the reference, with their defaults."""
    documented = {operator: {} for operator in OPERATORS}
    for row in table_rows("argument", REFERENCE.read_text()):
        for operator, mark in zip(OPERATORS, row[1:5], strict=True):
            if mark:
                documented[operator] |= dict.fromkeys(re.findall(r"`(\w+)`", row[0]), row[5])
    return documented


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_reference_lists_the_arguments_of_each_operator(documented, operator):
    from airflow.sdk import BaseSensorOperator

    from airflow_provider_connectif.operators.connectif import (
        ConnectifCreateExportOperator,
        ConnectifListExportsOperator,
    )
    from airflow_provider_connectif.sensors.connectif import ConnectifExportSensor
    from airflow_provider_connectif.transfers.connectif_to_object_storage import (
        ConnectifExportToObjectStorageOperator,
    )

    classes = (
        ConnectifCreateExportOperator,
        ConnectifListExportsOperator,
        ConnectifExportSensor,
        ConnectifExportToObjectStorageOperator,
    )
    parameters = parameters_of(classes[OPERATORS.index(operator)])
    if operator == "wait":
        inherited = parameters_of(BaseSensorOperator)
        parameters |= {name: inherited[name] for name in ("poke_interval", "timeout")}
    assert set(documented[operator]) == set(parameters)
    for name, default in documented[operator].items():
        if (operator, name) != ("create", "export_type"):  # the table says that it is required there
            assert_default(default, parameters[name])


@pytest.mark.parametrize("name", ["ConnectifExportTrigger", "ConnectifExportFinishedEventTrigger"])
def test_the_reference_lists_the_arguments_of_each_trigger(name):
    section = REFERENCE.read_text().partition(f"\n### {name}\n")[2]
    parameters = parameters_of(getattr(importlib.import_module("airflow_provider_connectif.triggers.connectif"), name))
    rows = table_rows("argument", section)
    assert [row[0].strip("`") for row in rows] == list(parameters)
    for row in rows:
        assert_default(row[1], parameters[row[0].strip("`")])


def test_the_reference_lists_the_fields_of_destinations():
    from airflow_provider_connectif.tasks.destination import DATE_FIELDS, TEXT_FIELDS

    rows = table_rows("field", REFERENCE.read_text())
    assert [name for row in rows for name in re.findall(r"`\{(\w+)\}`", row[0])] == [*TEXT_FIELDS, *DATE_FIELDS]


def test_the_reference_lists_the_methods_of_the_hook():
    from airflow_provider_connectif.hooks.connectif import ConnectifHook

    for [signature, _] in table_rows("method", REFERENCE.read_text()):
        name, arguments = re.fullmatch(r"`(\w+)\((.*)\)`", signature).groups()
        parameters = inspect.signature(getattr(ConnectifHook, name)).parameters
        assert set(re.findall(r"\w+", arguments)) <= set(parameters)


def messages():
    """Return every string in the code of the package, with an ellipsis for each value inserted into it."""

    def text(node):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.JoinedStr):
            return "".join(text(part) or ELLIPSIS for part in node.values)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return (text(node.left) or ELLIPSIS) + (text(node.right) or ELLIPSIS)
        return None

    found = []
    for path in PACKAGE.rglob("*.py"):
        found += [string for node in ast.walk(ast.parse(path.read_text())) if (string := text(node))]
    return [re.sub(r"%(\.\d)?[sdf]", ELLIPSIS, each) for each in found]


def headings():
    text = Path(ROOT / "docs/troubleshooting.md").read_text()
    lines = re.findall(r"^### (.*)$", text, re.MULTILINE)
    return [message for line in lines for message in re.findall(r"`([^`]+)`", line)]


@pytest.fixture(scope="module")
def code_messages():
    return messages()


def assert_in_code(message, code_messages):
    parts = [part for part in (" ".join(part.split()) for part in message.split(ELLIPSIS)) if len(part) > 1]
    assert parts
    pattern = re.compile(".*".join(re.escape(part) for part in parts), re.DOTALL)
    assert any(pattern.search(text) for text in code_messages), message


@pytest.mark.parametrize("heading", headings())
def test_the_messages_in_troubleshooting_are_those_of_the_code(code_messages, heading):
    assert_in_code(heading, code_messages)


@pytest.mark.parametrize("page", PAGES, ids=relative_names(PAGES))
def test_the_messages_it_quotes_are_those_of_the_code(code_messages, page):
    prose = re.sub(r"^(```.*?^```|#.*?)$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for quoted in re.findall(rf"`([^`]*{ELLIPSIS})`", prose):
        if len(quoted.split()) > 3:
            assert_in_code(quoted, code_messages)


def test_the_first_screen_of_the_readme_has_both_commands():
    first_screen = (ROOT / "README.md").read_text().splitlines()[:25]
    assert {line.split("  ")[0] for line in first_screen} >= {"make demo", "make test"}
