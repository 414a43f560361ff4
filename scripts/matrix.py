# SPDX-License-Identifier: Apache-2.0
"""Run the tests on each Python with the current Airflow, and with the lowest supported Airflow: ``make matrix``.

Each row has a separate virtual environment in ``.tools/matrix``, which is reused until its requirements change. A row
whose Python is not installed is reported, and counts as a failure.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".tools" / "matrix"

AIRFLOW_PACKAGES = ("hooks", "links", "operators", "sensors", "tasks", "transfers", "triggers")


@dataclass(frozen=True)
class Row:
    """A row of the matrix.

    :param pythons: versions of Python, of which the first one that is installed is used
    :param constraints: file with the pinned versions
    :param tests: arguments for pytest
    :param quick: arguments for pytest in a run that takes about a minute
    :param group: dependency group to install in addition to the package
    :param extras: extras of the package to install
    """

    pythons: tuple[str, ...]
    constraints: str
    tests: tuple[str, ...]
    quick: tuple[str, ...]
    group: str = "dev"
    extras: str = "amazon,microsoft-azure,parquet"


#: As in ``make test``.
SHARED = ("--numprocesses", "2", "--dist", "loadscope", "--no-loadscope-reorder", "--max-worker-restart", "0")
QUICK = (*(f"tests/{package}" for package in AIRFLOW_PACKAGES), "tests/test_imports.py", "-m", "not system")
CURRENT = {
    version: Row((version,), "constraints.txt", ("-m", "not system"), QUICK)
    for version in ("3.10", "3.11", "3.12", "3.13")
}
# The packages that do not import Airflow are tested with the lowest dependencies too. The documents and the examples
# require current ones.
LOWEST = Row(
    ("3.10", "3.11", "3.12"),
    "constraints-lowest.txt",
    (
        *(f"tests/{package}" for package in ("api", "files", *AIRFLOW_PACKAGES)),
        "tests/test_imports.py",
        "tests/test_windows.py",
        "tests/system/test_older_airflow.py",
    ),
    QUICK,
    group="test",
)
ROWS = {**CURRENT, "lowest": LOWEST}


@dataclass(frozen=True)
class Outcome:
    """The outcome of a row."""

    name: str
    python: str
    airflow: str
    result: str
    seconds: float
    passed: bool


def find_python(versions: Sequence[str], candidates: Callable[[str], Sequence[Path]] | None = None) -> Path | None:
    """Return the first interpreter that has one of the versions, or None.

    :param versions: versions in order of preference, such as ``3.12``
    :param candidates: function that returns the paths to try for a version
    """
    for version in versions:
        for path in (candidates or _candidates)(version):
            probe = subprocess.run(
                [str(path), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True
            )
            if probe.returncode == 0 and probe.stdout.strip() == version:
                return path
    return None


def _candidates(version: str) -> list[Path]:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [Path(sys.executable)]
    if on_path := shutil.which(f"python{version}"):
        found.append(Path(on_path))
    found += sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)
    uv_find = subprocess.run(
        [_uv(), "python", "find", "--no-project", "--no-python-downloads", version], capture_output=True, text=True
    )
    return [*found, Path(uv_find.stdout.strip())] if uv_find.returncode == 0 else found


def _uv() -> str:
    path = Path(sys.executable).with_name("uv")
    return str(path) if path.exists() else "uv"


def prepare(name: str, row: Row, python: Path) -> Path:
    """Create the row's environment, unless it exists and is up to date, and return its interpreter."""
    home = FOLDER / name
    interpreter, stamp = home / "bin" / "python", home / ".requirements-hash"
    requirements = [
        str(python),
        row.group,
        row.extras,
        (ROOT / "pyproject.toml").read_text(),
        (ROOT / row.constraints).read_text(),
    ]
    digest = hashlib.sha256("\0".join(requirements).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return interpreter
    subprocess.run([_uv(), "venv", "--quiet", "--clear", "--python", str(python), str(home)], check=True, cwd=ROOT)
    install = [_uv(), "pip", "install", "--quiet", "--python", str(interpreter), "--constraint", row.constraints]
    subprocess.run([*install, "--group", row.group, "--editable", f".[{row.extras}]"], check=True, cwd=ROOT)
    stamp.write_text(digest)
    return interpreter


def run_row(name: str, row: Row, *, quick: bool) -> Outcome:
    """Run a row's tests in its environment."""
    began = time.monotonic()
    python = find_python(row.pythons)
    if python is None:
        return Outcome(name, row.pythons[0], "", "Python is not installed", 0.0, False)
    try:
        interpreter = prepare(name, row, python)
    except subprocess.CalledProcessError:
        return Outcome(name, row.pythons[0], "", "installation failed, see above", time.monotonic() - began, False)
    report = FOLDER / f"{name}.xml"
    report.unlink(missing_ok=True)
    command = [str(interpreter), "-m", "pytest", "-q", f"--junitxml={report}", *SHARED]
    command += row.quick if quick else row.tests
    ended = subprocess.run(command, cwd=ROOT)
    python_version = _evaluate(interpreter, "platform.python_version()")
    airflow_version = _evaluate(interpreter, "metadata.version('apache-airflow')")
    result, passed = read_report(report)
    passed = passed and ended.returncode == 0
    return Outcome(name, python_version, airflow_version, result, time.monotonic() - began, passed)


def _evaluate(interpreter: Path, expression: str) -> str:
    program = f"import platform; from importlib import metadata; print({expression})"
    return subprocess.run([str(interpreter), "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def read_report(report: Path) -> tuple[str, bool]:
    """Summarize a JUnit report.

    :return: the summary, and whether at least one test passed and none failed
    """
    if not report.exists():
        return "no tests ran", False
    found: Counter[str] = Counter()
    for suite in ET.parse(report).getroot().iter("testsuite"):
        for kind in ("tests", "failures", "errors", "skipped"):
            found[kind] += int(suite.get(kind, "0"))
    failed = found["failures"] + found["errors"]
    passed = found["tests"] - failed - found["skipped"]
    words = [f"{passed} passed"]
    words += [f"{failed} failed"] if failed else []
    words += [f"{found['skipped']} skipped"] if found["skipped"] else []
    return ", ".join(words), passed > 0 and not failed


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as a Markdown table."""
    lines = ["| Python | Airflow | dependencies | tests | minutes |", "| --- | --- | --- | --- | --- |"]
    for outcome in outcomes:
        dependencies = "lowest" if outcome.name == "lowest" else "current"
        cells = (outcome.python, outcome.airflow, dependencies, outcome.result, f"{outcome.seconds / 60:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make matrix", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ROWS)}; all rows by default")
    parser.add_argument("--quick", action="store_true", help="only the packages that import Airflow, without servers")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.rows) - set(ROWS):
        parser.error(f"unknown row: {', '.join(sorted(unknown))}; choose from {', '.join(ROWS)}")
    outcomes = []
    for name in chosen.rows or ROWS:
        print(f"\n== {name}", flush=True)
        outcomes.append(run_row(name, ROWS[name], quick=chosen.quick))
    print("\n" + table(outcomes))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
