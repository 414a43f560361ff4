# SPDX-License-Identifier: Apache-2.0
"""The project's habits are wired up: hooks before commits, checks on each push, forms for issues and requests."""

from __future__ import annotations

import re

import pytest
import yaml

from scripts.public_api import ROOT, main

GITHUB = ROOT / ".github"
HOOKS = ROOT / ".pre-commit-config.yaml"

pytestmark = pytest.mark.skipif(not GITHUB.exists(), reason="the source archive leaves them out")


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_hooks_come_from_this_environment_and_need_no_host():
    (repo,) = yaml.safe_load(HOOKS.read_text())["repos"]
    assert repo["repo"] == "local"
    assert {hook["language"] for hook in repo["hooks"]} == {"system"}
    programs = [hook["entry"].split()[0] for hook in repo["hooks"]]
    assert [name for name in programs if not name.startswith(".venv/bin/")] == []


def test_hooks_check_what_make_lint_checks():
    hooks = {hook["entry"] for hook in yaml.safe_load(HOOKS.read_text())["repos"][0]["hooks"]}
    checks = re.findall(r"^\t\$\(BIN\)/(ruff \w+|mypy)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert len(checks) == 3
    assert [check for check in checks if not any(hook.startswith(f".venv/bin/{check}") for hook in hooks)] == []


def test_a_push_runs_what_must_hold_before_a_change_lands():
    jobs = yaml.safe_load((GITHUB / "workflows" / "ci.yml").read_text())["jobs"]
    commands = {step["run"] for job in jobs.values() for step in job["steps"] if "run" in step}
    assert ".ci/run" in commands
    assert {command.removeprefix("make ") for command in commands if command.startswith("make ")} <= targets()


def test_a_push_checks_the_floor_of_coverage():
    jobs = yaml.safe_load((GITHUB / "workflows" / "ci.yml").read_text())["jobs"]
    assert {"run": "make coverage"} in jobs["coverage"]["steps"]
    assert re.search(r"^coverage:.*\n\t.* --cov ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.search(r"^fail_under = 95$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)


@pytest.mark.parametrize("form", ["bug", "wish"])
def test_forms_for_issues_have_fields_with_names_of_their_own(form):
    text = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / f"{form}.yml").read_text())
    assert text["name"]
    assert text["description"]
    fields = [field["id"] for field in text["body"] if field["type"] != "markdown"]
    assert fields
    assert len(set(fields)) == len(fields)


def test_what_requests_and_forms_name_is_there():
    for path in [*GITHUB.rglob("*.md"), *GITHUB.rglob("*.yml")]:
        text = path.read_text()
        assert set(re.findall(r"`make ([a-z-]+)`", text)) <= targets(), path
        for name in re.findall(r"(?:docs|tests)/[\w.]+\w|\b[A-Z]{4,}\.md", text):
            assert (ROOT / name).exists(), (path, name)


def test_the_hook_for_the_public_api_fails_when_it_has_changed(tmp_path, monkeypatch, capsys):
    assert main(["--check"]) == 0
    changed = tmp_path / "public_api.txt"
    changed.write_text("another")
    monkeypatch.setattr("scripts.public_api.LISTING", changed)
    assert main(["--check"]) == 1
    assert "make public-api" in capsys.readouterr().out
