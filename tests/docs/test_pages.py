# SPDX-License-Identifier: Apache-2.0
"""What the pages say is so: links, commands, options, arguments, messages, tests."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, blocks

PACKAGE = ROOT / "airflow_provider_connectif"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HOLE = "\N{HORIZONTAL ELLIPSIS}"


def names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_its_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_pictures_are_small_and_each_is_told_in_words_where_it_is_shown():
    shown = {}
    for page in PAGES:
        for words, path in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", page.read_text()):
            assert len(words.split()) > 4, f"{page.name}: {path}"
            shown[(page.parent / path).resolve()] = words
    pictures = set((ROOT / "docs/images").iterdir())
    assert pictures == set(shown)
    assert {path.name: path.stat().st_size for path in pictures if path.stat().st_size > 150_000} == {}


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_its_lines_are_not_longer_than_the_codes(page):
    assert [line for line in page.read_text().splitlines() if len(line) > 120] == []


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_the_files_that_it_names_are_there(page):
    named = re.findall(r"`((?:tests|scripts|example_dags|airflow_provider_connectif)/[\w./]+)`", page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_the_make_targets_that_it_names_are_there(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [line for block in blocks("bash") if block.page == page for line in block.text.splitlines()]
    commands += re.findall(r"`(make [^`]*)`", page.read_text())
    named = {found[1] for command in commands if (found := re.match(r"make (?:[A-Z]+=\S+ )?([a-z-]+)", command))}
    assert named <= targets


def test_the_index_lists_every_page_of_the_folder():
    listed = set(LINK.findall((ROOT / "docs/index.md").read_text()))
    pages = {str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/**/*.md")}
    assert pages - {"index.md"} <= {link.partition("#")[0] for link in listed}


def test_the_readme_lists_every_example():
    text = (ROOT / "README.md").read_text()
    assert [path.name for path in ROOT.glob("example_dags/*.py") if f"`{path.name}`" not in text] == []


def test_json_is_json():
    examined = blocks("json")
    for block in examined:
        json.loads(block.text)
    assert examined


def test_connections_in_shell_commands_are_such_that_airflow_reads():
    from airflow.sdk import Connection

    found = [
        match for block in blocks("bash") for match in re.findall(r"AIRFLOW_CONN_\w+='(.*?)'", block.text, re.DOTALL)
    ]
    for text in found:
        read = Connection.from_json if text.startswith("{") else Connection.from_uri
        assert read(text, conn_id="example").conn_type
    assert len(found) >= 5


def test_the_sandboxes_options_exist():
    from airflow_provider_connectif.sandbox.__main__ import parser

    known = {option for action in parser()._actions for option in action.option_strings}
    named = set(re.findall(r"(?<![-\w])--[a-z][a-z-]+", (ROOT / "docs/sandbox.md").read_text()))
    assert named <= known
    assert "--rate-limit" in named


def test_the_sandboxes_control_calls_are_all_told():
    from airflow_provider_connectif.sandbox.control import Control

    text = (ROOT / "docs/sandbox.md").read_text()
    assert [
        route.path for route in Control(None).routes() if f"{route.path.replace('export_id', 'id')}`" not in text
    ] == []


OPERATORS = ("create", "list", "wait", "store")


@pytest.fixture(scope="module")
def told():
    """By operator: the arguments that the README's table gives it."""
    table = re.search(r"^\| argument \|.*?\n\n", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)[0]
    told = {operator: set() for operator in OPERATORS}
    for row in table.strip().splitlines()[2:]:
        cells = [cell.strip() for cell in row.split("|")]
        for operator, mark in zip(OPERATORS, cells[2:6], strict=True):
            if mark:
                told[operator] |= set(re.findall(r"`(\w+)`", cells[1]))
    return told


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_readmes_table_has_each_operators_arguments_and_no_others(told, operator):
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
    signature = inspect.signature(inspect.unwrap(classes[OPERATORS.index(operator)].__init__))
    inherited = {"poke_interval", "timeout"} if operator == "wait" else set()
    assert told[operator] == set(signature.parameters) - {"self", "kwargs"} | inherited


def messages():
    """Every text of the package's code, with a hole for each value that is put in."""

    def text(node):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.JoinedStr):
            return "".join(text(part) or HOLE for part in node.values)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return (text(node.left) or HOLE) + (text(node.right) or HOLE)
        return None

    found = []
    for path in PACKAGE.rglob("*.py"):
        found += [said for node in ast.walk(ast.parse(path.read_text())) if (said := text(node))]
    return [re.sub(r"%(\.\d)?[sdf]", HOLE, each) for each in found]


def headings():
    text = Path(ROOT / "docs/troubleshooting.md").read_text()
    return [said for line in re.findall(r"^### (.*)$", text, re.MULTILINE) for said in re.findall(r"`([^`]+)`", line)]


@pytest.fixture(scope="module")
def said():
    return messages()


@pytest.mark.parametrize("heading", headings())
def test_the_message_in_troubleshooting_is_one_of_the_codes(said, heading):
    parts = [part.strip() for part in heading.split(HOLE) if len(part.strip()) > 1]
    assert parts
    pattern = re.compile(".*".join(re.escape(part) for part in parts), re.DOTALL)
    assert any(pattern.search(each) for each in said), heading


def test_the_two_commands_are_on_the_readmes_first_screen():
    first_screen = (ROOT / "README.md").read_text().splitlines()[:25]
    assert {line.split("  ")[0] for line in first_screen} >= {"make demo", "make test"}
