# SPDX-License-Identifier: Apache-2.0
"""The architecture: which package may import which, according to the source; and the first line of every file."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "airflow_provider_connectif"
NAME = PACKAGE.name

_ABOVE = ("cli", "hooks", "operators", "sandbox", "sensors", "tasks", "transfers", "triggers")
# What each package may not import anywhere, including in functions and for type checking.
FORBIDDEN = {
    "api": ("airflow", *(f"{NAME}.{package}" for package in ("files", *_ABOVE))),
    "files": ("airflow", *(f"{NAME}.{package}" for package in ("api", *_ABOVE))),
}
# What modules that DAG files import may not import at the top level, because each parse would import it.
EXPENSIVE = ("requests", "tenacity", "fsspec", "pydantic", "isal", "numpy", "pyarrow")
DAG_FACING = ("hooks", "operators", "sensors", "transfers", "triggers")
# What only `api` and `files` import.
HTTP_AND_ZIP = ("requests", "urllib3", "zipfile", "zlib", "tenacity", "isal")


def sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def imports(code: str, *, top_only: bool = False) -> Iterator[str]:
    """Yield everything that a source imports; with ``top_only``, only what runs when the source itself is imported."""
    tree = ast.parse(code)
    nodes = list(_running_at_import(tree.body)) if top_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def _running_at_import(body: list[ast.stmt]) -> Iterator[ast.AST]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from _running_at_import(node.orelse)
            continue
        yield node
        for field in ("body", "orelse", "finalbody"):
            yield from _running_at_import(getattr(node, field, []))
        for handler in getattr(node, "handlers", []):
            yield from _running_at_import(handler.body)


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def forbidden_imports(code: str, packages: tuple[str, ...], *, top_only: bool = False) -> set[str]:
    found = set(imports(code, top_only=top_only))
    return {name for name in found if name.startswith(".") or any(is_within(name, other) for other in packages)}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_the_package_imports_neither_airflow_nor_the_other_packages(package):
    files = sources(PACKAGE / package)
    assert len(files) > 5
    for path in files:
        assert forbidden_imports(path.read_text(), FORBIDDEN[package]) == set(), path.relative_to(ROOT)


@pytest.mark.parametrize("package", ["cli", "tasks", *DAG_FACING])
def test_the_package_contains_no_http_and_no_zip_code(package):
    for path in sources(PACKAGE / package):
        assert forbidden_imports(path.read_text(), HTTP_AND_ZIP) == set(), path.relative_to(ROOT)


@pytest.mark.parametrize("package", DAG_FACING)
def test_dag_facing_modules_import_nothing_expensive_at_the_top_level(package):
    for path in sources(PACKAGE / package):
        assert forbidden_imports(path.read_text(), EXPENSIVE, top_only=True) == set(), path.relative_to(ROOT)


def test_api_modules_import_the_http_client_only_in_functions():
    """The hook, which DAG files may import, imports them at the top level."""
    for path in sources(PACKAGE / "api"):
        assert forbidden_imports(path.read_text(), EXPENSIVE, top_only=True) == set(), path.relative_to(ROOT)


def test_there_are_no_import_cycles():
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sources(PACKAGE)}
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items()}
    needs = {
        name: {other for other in imports(path.read_text(), top_only=True) if other in modules and other != name}
        for name, path in modules.items()
    }
    done: set[str] = set()
    while ready := {name for name in needs if name not in done and needs[name] <= done}:
        done |= ready
    assert sorted(set(needs) - done) == []


def tracked(pattern: str) -> list[Path]:
    """Return the files in the repository; in an unpacked source archive, which has no history, all files."""
    listing = subprocess.run(["git", "ls-files", "-z", pattern], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode == 0 and listing.stdout:
        return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).exists()]
    folders = ("airflow_provider_connectif", "tests", "scripts", "example_dags", "benchmarks")
    return [path for folder in folders for path in sources(ROOT / folder)]


def test_every_source_file_names_its_license():
    files = tracked("*.py")
    assert len(files) > 30
    lines = {path.relative_to(ROOT): path.read_text().partition("\n")[0] for path in files}
    assert [path for path, line in lines.items() if line != "# SPDX-License-Identifier: Apache-2.0"] == []


class TestTheTests:
    @pytest.mark.parametrize(
        "code",
        [
            "import airflow",
            "import airflow.sdk as x",
            "from airflow import DAG",
            "from airflow.sdk import DAG",
            "def f():\n    from airflow.sdk import DAG",
            "if TYPE_CHECKING:\n    import airflow",
            "from airflow_provider_connectif import files",
            "from airflow_provider_connectif.files.download.remote_file import RemoteFile",
            "from ..files import remote",
            "from . import client",
        ],
    )
    def test_a_forbidden_import_is_found(self, code):
        assert forbidden_imports(code, FORBIDDEN["api"])

    @pytest.mark.parametrize(
        "code", ["import airflow_provider_connectif.api", "import airflowish", "x = 'import airflow'"]
    )
    def test_an_allowed_import_is_not(self, code):
        assert not forbidden_imports(code, FORBIDDEN["api"])

    @pytest.mark.parametrize(
        ("code", "found"),
        [
            ("import requests", True),
            ("try:\n    import requests\nexcept ImportError:\n    pass", True),
            ("class A:\n    import requests", True),
            ("if sys.version_info:\n    from requests import Session", True),
            ("def f():\n    import requests", False),
            ("class A:\n    def f(self):\n        import requests", False),
            ("if TYPE_CHECKING:\n    import requests", False),
        ],
    )
    def test_only_what_runs_at_import_counts_as_top_level(self, code, found):
        assert bool(forbidden_imports(code, EXPENSIVE, top_only=True)) is found
