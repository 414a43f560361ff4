# SPDX-License-Identifier: Apache-2.0
"""Git hooks, continuous integration, and the forms for issues and pull requests match the project."""

from __future__ import annotations

import re

import pytest
import yaml

from scripts.public_api import ROOT, main

GITHUB = ROOT / ".github"
HOOKS = ROOT / ".pre-commit-config.yaml"

pytestmark = pytest.mark.skipif(not GITHUB.exists(), reason="not in the source archive")


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_hooks_run_from_the_virtual_environment_without_a_network():
    (repo,) = yaml.safe_load(HOOKS.read_text())["repos"]
    assert repo["repo"] == "local"
    assert {hook["language"] for hook in repo["hooks"]} == {"system"}
    programs = [hook["entry"].split()[0] for hook in repo["hooks"]]
    assert [name for name in programs if not name.startswith(".venv/bin/")] == []


def test_hooks_check_what_make_lint_checks():
    hooks = {hook["entry"] for hook in yaml.safe_load(HOOKS.read_text())["repos"][0]["hooks"]}
    command = r"^\t\$\(BIN\)/(ruff \w+|mypy|python -m scripts\.\w+)"
    checks = re.findall(command, (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert len(set(checks)) == 5
    assert [check for check in checks if not any(hook.startswith(f".venv/bin/{check}") for hook in hooks)] == []


def test_a_push_runs_all_checks():
    jobs = yaml.safe_load((GITHUB / "workflows" / "ci.yml").read_text())["jobs"]
    commands = {step["run"] for job in jobs.values() for step in job["steps"] if "run" in step}
    assert ".ci/run" in commands
    assert {command.split()[1] for command in commands if command.startswith("make ")} <= targets()


def workflows() -> dict[str, dict]:
    return {path.stem: yaml.safe_load(path.read_text()) for path in (GITHUB / "workflows").glob("*.yml")}


def test_actions_are_pinned_by_commit_and_name_their_version():
    lines = [line for path in GITHUB.rglob("*.yml") for line in path.read_text().splitlines() if "uses:" in line]
    pinned = re.compile(r" +- uses: [\w/.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert len(lines) > 8
    assert [line for line in lines if not pinned.fullmatch(line)] == []
    # One version of each action.
    assert len({line.strip() for line in lines}) == len({line.split("@")[0] for line in lines})


def test_a_workflow_has_only_the_permissions_it_needs():
    permissions = {
        (name, job): {**(workflow["permissions"] or {}), **(steps.get("permissions") or {})}
        for name, workflow in workflows().items()
        for job, steps in workflow["jobs"].items()
    }
    assert {key: value for key, value in permissions.items() if value != {"contents": "read"}} == {
        ("release", "publish"): {"id-token": "write"},
        ("release", "attest"): {"id-token": "write", "attestations": "write"},
        ("release", "github-release"): {"contents": "write"},
    }


def test_a_release_is_checked_before_it_is_published_and_needs_no_stored_password():
    jobs = workflows()["release"]["jobs"]
    assert 'make release-check TAG="$GITHUB_REF_NAME"' in [step.get("run") for step in jobs["build"]["steps"]]
    assert (jobs["publish"]["needs"], jobs["publish"]["environment"]) == ("build", "pypi")
    assert "secrets." not in (GITHUB / "workflows" / "release.yml").read_text()


def test_a_push_checks_the_minimum_coverage():
    jobs = yaml.safe_load((GITHUB / "workflows" / "ci.yml").read_text())["jobs"]
    assert {"run": "make coverage"} in jobs["coverage"]["steps"]
    assert re.search(r"^coverage:.*\n\t.* --cov ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.search(r"^fail_under = 95$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)


def test_the_quick_tests_and_those_for_coverage_are_the_same(pytestconfig):
    makefile = (ROOT / "Makefile").read_text()
    (quick,) = re.findall(r'^QUICK := "(.*)"$', makefile, re.MULTILINE)
    left_out = re.findall(r"not (\w+)", quick)
    assert quick == " and ".join(f"not {name}" for name in left_out)
    known = {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    assert set(left_out) <= known
    for target in ("test-quick", "coverage"):
        assert re.search(rf"^{target}:.*\n\t\$\(PYTEST\) -m \$\(QUICK\) ", makefile, re.MULTILINE), target
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    assert [
        name for name in left_out if f"marked\n`{name}`" not in contributing and f"marked `{name}`" not in contributing
    ] == []


@pytest.mark.parametrize("form", ["bug", "feature"])
def test_the_fields_of_an_issue_form_have_unique_names(form):
    text = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / f"{form}.yml").read_text())
    assert text["name"]
    assert text["description"]
    fields = [field["id"] for field in text["body"] if field["type"] != "markdown"]
    assert fields
    assert len(set(fields)) == len(fields)


def test_files_and_targets_named_in_the_forms_exist():
    for path in [*GITHUB.rglob("*.md"), *GITHUB.rglob("*.yml")]:
        text = path.read_text()
        assert set(re.findall(r"`make ([a-z-]+)`", text)) <= targets(), path
        for name in re.findall(r"(?:docs|tests)/[\w.]+\w|\b[A-Z]{4,}\.md", text):
            assert (ROOT / name).exists(), (path, name)


def test_the_hook_for_the_public_api_fails_if_it_has_changed(tmp_path, monkeypatch, capsys):
    assert main(["--check"]) == 0
    changed = tmp_path / "public_api.txt"
    changed.write_text("different")
    monkeypatch.setattr("scripts.public_api.LISTING", changed)
    assert main(["--check"]) == 1
    assert "make public-api" in capsys.readouterr().out
