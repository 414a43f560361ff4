# SPDX-License-Identifier: Apache-2.0
"""The contents of both archives, and the pinned versions for development and the demo."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import airflow_provider_connectif

ROOT = Path(__file__).parents[1]
PACKAGE = "airflow_provider_connectif"


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(dist):
    (path,) = dist.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    return HeaderParser().parsestr(wheel.read(name).decode())


@pytest.fixture(scope="module")
def in_source(dist):
    """The paths in the source archive, relative to its top folder."""
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as opened:
        return {name.partition("/")[2] for name in opened.getnames()}


def test_the_wheel_contains_only_the_package(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    version = airflow_provider_connectif.__version__
    assert tops == {PACKAGE, f"{PACKAGE}-{version}.dist-info"}


def test_the_wheel_contains_every_module_of_the_package(wheel):
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / PACKAGE).rglob("*.py")}
    assert modules <= set(wheel.namelist())


def test_the_wheel_is_typed_and_licensed(wheel):
    names = wheel.namelist()
    assert f"{PACKAGE}/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_declares_the_supported_versions_of_python_and_airflow(metadata):
    assert metadata["Requires-Python"] == ">=3.10"
    assert "apache-airflow>=3.0" in metadata.get_all("Requires-Dist")
    assert "Framework :: Apache Airflow :: Provider" in metadata.get_all("Classifier")
    assert set(metadata.get_all("Provides-Extra")) == {"amazon", "google", "microsoft-azure", "parquet"}


def test_the_metadata_has_what_a_package_index_displays(metadata):
    assert metadata["Version"] == airflow_provider_connectif.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload() == (ROOT / "README.md").read_text()
    assert metadata["Summary"]
    assert metadata["Keywords"]
    assert metadata.get_all("Project-URL")


def test_the_version_is_written_in_one_place():
    version = airflow_provider_connectif.__version__
    others = [*(ROOT / PACKAGE).rglob("*.py"), ROOT / "pyproject.toml", ROOT / "Makefile"]
    assert [
        str(path.relative_to(ROOT)) for path in others if re.search(rf'"{version}"|={version}', path.read_text())
    ] == [f"{PACKAGE}/__init__.py"]


def not_ignored():
    """The files of the repository, including those that are not committed yet."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("this is not a git repository")
    return {name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()}


def test_the_source_archive_contains_everything_needed_to_build_and_test_the_package(in_source):
    missing = not_ignored() - in_source
    assert {name for name in missing if not name.startswith((".git", ".pre-commit"))} == set()


def test_the_source_archive_contains_no_other_files(in_source):
    assert in_source - not_ignored() == {"PKG-INFO"}


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-lowest.txt"])
def test_the_constraints_are_plain_versions(name):
    lines = (ROOT / name).read_text().splitlines()
    plain = re.compile(r"[a-z0-9-]+==[\w.!+]+( ; .+)?")
    assert [line for line in lines if not plain.fullmatch(line)] == []
    assert any(line.startswith("apache-airflow==") for line in lines)


def test_the_lowest_constraints_are_the_lowest_supported_versions(metadata):
    required = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    pins = dict(line.split(" ;")[0].split("==") for line in (ROOT / "constraints-lowest.txt").read_text().splitlines())
    bounds = {
        each.name: next(Version(one.version) for one in each.specifier if one.operator == ">=")
        for each in required
        if "google" not in str(each.marker)  # gcsfs has to be newer than the dependencies of the lowest Airflow
    }
    assert {name: Version(pins[name]) for name in bounds} == bounds


@pytest.mark.parametrize(
    "path", ["Makefile", "pyproject.toml", ".ci/run", "scripts", "constraints.txt", "constraints-lowest.txt"]
)
def test_no_setup_file_names_a_package_registry(path):
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
