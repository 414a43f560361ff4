# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from scripts import matrix
from scripts.matrix import Outcome, Row, find_python, read_report, run_row, table

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def report(folder, **counts):
    path = folder / "report.xml"
    counted = " ".join(f'{name}="{number}"' for name, number in counts.items())
    path.write_text(f"<testsuites><testsuite {counted}/></testsuites>")
    return path


def test_the_first_installed_python_is_used():
    found = find_python(["2.6", HERE])
    assert found is not None
    assert found.exists()


def test_a_python_of_another_version_is_ignored(tmp_path):
    assert find_python(["2.6"], lambda _: [Path(sys.executable)]) is None


def test_a_python_that_does_not_run_is_ignored(tmp_path):
    shim = tmp_path / "python"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    assert find_python([HERE], lambda _: [shim]) is None


def test_a_row_without_its_python_fails():
    outcome = run_row("old", Row(("2.6",), "constraints.txt", (), ()), quick=False)
    assert (outcome.result, outcome.passed) == ("Python is not installed", False)


def test_a_row_that_cannot_be_installed_fails_without_an_exception(monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(matrix, "FOLDER", tmp_path)
    (tmp_path / "constraints.txt").write_text("pytest==0.0.0\n")
    impossible = Row((HERE,), str(tmp_path / "constraints.txt"), (), ())
    outcome = run_row("impossible", impossible, quick=False)
    assert (outcome.result, outcome.passed) == ("installation failed, see above", False)
    assert "pytest" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("counts", "summary", "passed"),
    [
        ({"tests": 9, "failures": 0, "errors": 0, "skipped": 2}, "7 passed, 2 skipped", True),
        ({"tests": 9, "failures": 1, "errors": 1, "skipped": 0}, "7 passed, 2 failed", False),
        ({"tests": 2, "failures": 0, "errors": 0, "skipped": 2}, "0 passed, 2 skipped", False),
    ],
    ids=["all pass", "some fail", "none runs"],
)
def test_a_report_is_summarized(tmp_path, counts, summary, passed):
    assert read_report(report(tmp_path, **counts)) == (summary, passed)


def test_a_run_without_a_report_has_failed(tmp_path):
    assert read_report(tmp_path / "none.xml") == ("no tests ran", False)


def test_the_table_has_a_line_for_each_row():
    lines = table([Outcome("lowest", "3.10.1", "3.0.0", "7 passed", 90, True)]).splitlines()
    assert len(lines) == 3
    assert lines[-1] == "| 3.10.1 | 3.0.0 | lowest | 7 passed | 1.5 |"


def test_one_failing_row_fails_the_run(monkeypatch, capsys):
    monkeypatch.setattr(
        matrix, "run_row", lambda name, row, quick: Outcome(name, "3", "3", "", 1, passed=name != "lowest")
    )
    assert matrix.main(["3.12"]) == 0
    assert matrix.main(["3.12", "lowest"]) == 1
    assert capsys.readouterr().out.count("| current |") == 2


def test_an_unknown_row_is_rejected(capsys):
    with pytest.raises(SystemExit):
        matrix.main(["3.9"])
    assert "unknown row: 3.9" in capsys.readouterr().err


def test_every_supported_python_has_a_row():
    text = (matrix.ROOT / "pyproject.toml").read_text()
    assert [version for version in matrix.CURRENT if f'Python :: {version}"' not in text] == []
    assert text.count("Programming Language :: Python :: 3.") == len(matrix.CURRENT)


@pytest.mark.parametrize("name", matrix.ROWS)
def test_a_row_is_installed_with_the_extras_that_the_tests_need(name, tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(matrix, "FOLDER", tmp_path)
    monkeypatch.setattr(matrix.subprocess, "run", lambda command, **_: commands.append(command))
    (tmp_path / name).mkdir()
    matrix.prepare(name, matrix.ROWS[name], Path(sys.executable))
    makefile = (matrix.ROOT / "Makefile").read_text()
    (extras,) = re.findall(r"--group dev --editable '\.\[(.*)\]'", makefile)
    assert commands[-1][-1] == f".[{extras}]"
    assert "parquet" in extras


def test_the_lowest_row_pins_the_lower_bounds_of_the_package():
    row = matrix.ROWS["lowest"]
    pins = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (matrix.ROOT / row.constraints).read_text(), re.MULTILINE))
    bounds = {
        required.name: bound.version
        for required in map(Requirement, metadata.requires("airflow-provider-connectif"))
        for bound in required.specifier
        if bound.operator == ">="
        and (not required.marker or any(required.marker.evaluate({"extra": name}) for name in row.extras.split(",")))
    }
    assert "pyarrow" in bounds
    assert {name: Version(pins[name]) for name in bounds} == {name: Version(bound) for name, bound in bounds.items()}
