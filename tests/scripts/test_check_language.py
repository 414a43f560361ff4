# SPDX-License-Identifier: Apache-2.0
"""The language check finds phrases that are never right, and leaves plain English alone."""

from __future__ import annotations

import pytest

from scripts.check_language import RULES, check, main


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("'5' is no version", "is no <noun>"),
        ("what was no date", "is no <noun>"),
        ("def test_a_page_that_is_no_json():", "is no <noun>"),
        ("bytes in place of text", "in place of"),
        ("It starts anew.", "anew"),
        ("def asked_anew():", "anew"),
        ("Empty for ever.", "for ever"),
        ("It makes known what it found", "make known"),
        ("nothing is to be had", "to be had"),
        ("how to mend it", "mend"),
        ("It fails all the same.", "all the same"),
        ("a thread beside this one", "beside"),
        ('"""Give the name."""', '"""Give or Tell'),
        ('"""Tells whether it is there."""', '"""Give or Tell'),
    ],
)
def test_a_phrase_is_found(text, rule):
    assert [finding.rule.name for finding in check(text)] == [rule]


def test_each_rule_has_an_example():
    examples = test_a_phrase_is_found.pytestmark[0].args[1]
    assert {rule.name for rule in RULES} == {rule for _, rule in examples}


@pytest.mark.parametrize(
    "text",
    [
        "there is no such export",
        "There are no members.",
        "test_there_is_no_file",
        "it is no longer listed",
        "it is no more than 5 bytes",
        "this is no better than that",
        "no one knows, and no one is asked: there was no one",
        "The result is no.",
        "is no-op",
        "the names are all the same",
        "besides, a recommended amendment",
        "forever",
        '"""Given a name, return it."""',
        "instead of",
    ],
)
def test_plain_english_passes(text):
    assert check(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "first\nbytes in place\nof text\n",
        "first\n    # bytes in\n    # place of text\n",
        "first\n#: bytes in\n#: place of text\n",
        'first\n("bytes in "\n f"place of text")\n',
    ],
)
def test_a_phrase_across_lines_is_found_on_its_first_line(text):
    (finding,) = check(text)
    assert (finding.line, finding.rule.name) == (2, "in place of")


@pytest.fixture
def tree(tmp_path):
    for name in ("module.py", "docs/page.md", "Makefile", ".ci/run", ".github/form.yml", "pyproject.toml", "do.sh"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\nasked anew\n")
    return tmp_path


def test_files_of_all_kinds_are_checked_and_named_with_their_line(tree, capsys):
    assert main([], tree) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "docs/page.md:2: 'anew': write again" in lines
    assert {line.split(":")[0] for line in lines} == {
        "module.py",
        "docs/page.md",
        "Makefile",
        ".ci/run",
        ".github/form.yml",
        "pyproject.toml",
        "do.sh",
    }


@pytest.mark.parametrize("name", [".venv/module.py", "build/page.md", "data.csv", "docs/picture.svg"])
def test_other_files_are_not_checked(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("anew")
    assert main([], tmp_path) == 0


def test_only_the_given_paths_are_checked(tree, capsys):
    assert main([str(tree / "docs"), str(tree / "Makefile")], tree) == 1
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_findings_are_counted_by_phrase_and_folder(tree, capsys):
    assert main(["--count"], tree) == 1
    counts = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["7", "anew"] in counts
    assert ["1", ".ci"] in counts
    assert ["4", "."] in counts


def test_a_folder_without_findings_passes_silently(tmp_path, capsys):
    (tmp_path / "page.md").write_text("Plain English.\n")
    assert main([], tmp_path) == 0
    assert capsys.readouterr().out == ""
