# SPDX-License-Identifier: Apache-2.0
"""``make matrix``: the tests on each Python with the current Airflow, and on the lowest Airflow that is admitted.

Each row has a virtual environment of its own in ``.tools/matrix``, which is used again until what it is made from
changes. A row whose Python is not on this machine is told, and makes the whole fail.
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
PLACE = ROOT / ".tools" / "matrix"

ROOMS = ("hooks", "links", "operators", "sensors", "tasks", "transfers", "triggers")


@dataclass(frozen=True)
class Row:
    """One line of the matrix.

    :param pythons: versions; the first that is on this machine is taken.
    :param constraints: the file that pins what is installed.
    :param tests: pytest's arguments.
    :param quick: pytest's arguments for a run that is to take a minute.
    :param group: what is installed beside the package, of the groups in ``pyproject.toml``.
    """

    pythons: tuple[str, ...]
    constraints: str
    tests: tuple[str, ...]
    quick: tuple[str, ...]
    group: str = "dev"


#: Two processes share the tests, as in `make test`.
SHARED = ("--numprocesses", "2", "--dist", "loadscope", "--no-loadscope-reorder", "--max-worker-restart", "0")
QUICK = (*(f"tests/{room}" for room in ROOMS), "tests/test_imports.py", "-m", "not system")
CURRENT = {
    version: Row((version,), "constraints.txt", ("-m", "not system"), QUICK)
    for version in ("3.10", "3.11", "3.12", "3.13")
}
# What does not depend on Airflow at all is tested with the lowest dependencies too; the documents and the examples
# are for current ones.
LOWEST = Row(
    ("3.10", "3.11", "3.12"),
    "constraints-lowest.txt",
    (
        *(f"tests/{room}" for room in ("api", "files", *ROOMS)),
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
    """What became of a row."""

    name: str
    python: str
    airflow: str
    result: str
    seconds: float
    passed: bool


def find_python(versions: Sequence[str], candidates: Callable[[str], Sequence[Path]] | None = None) -> Path | None:
    """Find an interpreter of one of the versions, the first that there is.

    :param versions: such as ``3.12``.
    :param candidates: where to look for a version.
    """
    for version in versions:
        for path in (candidates or _candidates)(version):
            told = subprocess.run(
                [str(path), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True
            )
            if told.returncode == 0 and told.stdout.strip() == version:
                return path
    return None


def _candidates(version: str) -> list[Path]:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [Path(sys.executable)]
    if on_path := shutil.which(f"python{version}"):
        found.append(Path(on_path))
    found += sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)
    asked = subprocess.run(
        [_uv(), "python", "find", "--no-project", "--no-python-downloads", version], capture_output=True, text=True
    )
    return [*found, Path(asked.stdout.strip())] if asked.returncode == 0 else found


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else "uv"


def prepare(name: str, row: Row, python: Path) -> Path:
    """Make the row's environment, unless it is there and as it would be made now; returns its interpreter."""
    home = PLACE / name
    interpreter, stamp = home / "bin" / "python", home / ".made-from"
    ingredients = [str(python), row.group, (ROOT / "pyproject.toml").read_text(), (ROOT / row.constraints).read_text()]
    made_from = hashlib.sha256("\0".join(ingredients).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == made_from:
        return interpreter
    subprocess.run([_uv(), "venv", "--quiet", "--clear", "--python", str(python), str(home)], check=True, cwd=ROOT)
    install = [_uv(), "pip", "install", "--quiet", "--python", str(interpreter), "--constraint", row.constraints]
    subprocess.run([*install, "--group", row.group, "--editable", ".[amazon,microsoft-azure]"], check=True, cwd=ROOT)
    stamp.write_text(made_from)
    return interpreter


def play(name: str, row: Row, *, quick: bool) -> Outcome:
    """Run a row's tests in its environment."""
    began = time.monotonic()
    python = find_python(row.pythons)
    if python is None:
        return Outcome(name, row.pythons[0], "", "not on this machine", 0.0, False)
    try:
        interpreter = prepare(name, row, python)
    except subprocess.CalledProcessError:
        return Outcome(name, row.pythons[0], "", "not installed: see above", time.monotonic() - began, False)
    report = PLACE / f"{name}.xml"
    report.unlink(missing_ok=True)
    command = [str(interpreter), "-m", "pytest", "-q", f"--junitxml={report}", *SHARED]
    command += row.quick if quick else row.tests
    ended = subprocess.run(command, cwd=ROOT)
    versions = _ask(interpreter, "platform.python_version()"), _ask(interpreter, "metadata.version('apache-airflow')")
    result, passed = read_report(report)
    return Outcome(name, *versions, result, time.monotonic() - began, passed and ended.returncode == 0)


def _ask(interpreter: Path, expression: str) -> str:
    program = f"import platform; from importlib import metadata; print({expression})"
    return subprocess.run([str(interpreter), "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def read_report(report: Path) -> tuple[str, bool]:
    """Count a JUnit report's tests.

    :return: words, and whether there were any, and none failed.
    """
    if not report.exists():
        return "no test ran", False
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
    """Write the outcomes as a Markdown table."""
    lines = ["| Python | Airflow | dependencies | tests | minutes |", "| --- | --- | --- | --- | --- |"]
    for outcome in outcomes:
        dependencies = "lowest" if outcome.name == "lowest" else "current"
        cells = (outcome.python, outcome.airflow, dependencies, outcome.result, f"{outcome.seconds / 60:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make matrix", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all when none is named")
    parser.add_argument("--quick", action="store_true", help="Airflow's rooms alone, without servers")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    outcomes = []
    for name in chosen.rows or ROWS:
        print(f"\n== {name}", flush=True)
        outcomes.append(play(name, ROWS[name], quick=chosen.quick))
    print("\n" + table(outcomes))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
