# SPDX-License-Identifier: Apache-2.0
"""What is shipped: the wheel, and the pinned versions that development and the demo use."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

import airflow_provider_connectif

ROOT = Path(__file__).parents[1]
PACKAGE = "airflow_provider_connectif"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    version = airflow_provider_connectif.__version__
    assert tops == {PACKAGE, f"{PACKAGE}-{version}.dist-info"}


def test_the_wheel_holds_every_module_of_the_package(wheel):
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / PACKAGE).rglob("*.py")}
    assert modules <= set(wheel.namelist())


def test_the_wheel_is_typed_and_licensed(wheel):
    names = wheel.namelist()
    assert f"{PACKAGE}/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_is_for_the_pythons_and_airflows_that_are_promised(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    metadata = HeaderParser().parsestr(wheel.read(name).decode())
    assert set(metadata["Requires-Python"].split(",")) == {">=3.10", "<3.14"}
    assert "apache-airflow>=3.0" in metadata.get_all("Requires-Dist")
    assert "Framework :: Apache Airflow :: Provider" in metadata.get_all("Classifier")
    assert set(metadata.get_all("Provides-Extra")) == {"amazon", "google", "microsoft-azure"}


def test_the_constraints_are_plain_versions():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    plain = re.compile(r"[a-z0-9-]+==[\w.!+]+( ; .+)?")
    assert [line for line in lines if not plain.fullmatch(line)] == []
    assert any(line.startswith("apache-airflow==") for line in lines)


@pytest.mark.parametrize("path", ["Makefile", "pyproject.toml", ".ci/run", "scripts", "constraints.txt"])
def test_nothing_of_the_set_up_names_a_registry(path):
    found = ROOT / path
    files = [found] if found.is_file() else list(found.glob("*.*"))
    assert files
    for file in files:
        assert not re.search(r"pypi\.org|pythonhosted|npmjs|deb\.debian|index-url", file.read_text()), file


@pytest.mark.parametrize("folder", [PACKAGE, "tests", "scripts", "example_dags"])
def test_every_source_file_names_its_licence(folder):
    sources = list((ROOT / folder).rglob("*.py"))
    assert sources
    header = "# SPDX-License-Identifier: Apache-2.0"
    assert [str(path) for path in sources if header not in path.read_text().splitlines()[:2]] == []
