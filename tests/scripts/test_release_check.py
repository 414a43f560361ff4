# SPDX-License-Identifier: Apache-2.0
"""The checks of a release: the tag, the sums of two builds, the bill of materials."""

from __future__ import annotations

import json
import sys
import zipfile

import pytest

from airflow_provider_connectif import __version__
from scripts import release_check
from scripts.release_check import build_twice, main, missing_components, required_packages


def test_a_tag_that_is_not_the_version_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["release_check", "--tools", "/nowhere", "--tag", "v9.9.9"])
    with pytest.raises(SystemExit, match=rf"The tag is v9.9.9, but the version .* is {__version__}\."):
        main()


@pytest.fixture
def builds(tmp_path, monkeypatch):
    """A function that replaces the build by one that writes the given contents, one for each build."""

    def replace(*contents: bytes) -> None:
        remaining = list(contents)

        def build(source, into, environment):
            into.mkdir()
            for name in ("a.whl", "a.tar.gz"):
                (into / name).write_bytes(remaining[0])
            remaining.pop(0)
            return into / "a.whl", into / "a.tar.gz"

        monkeypatch.setattr(release_check, "build", build)
        monkeypatch.setattr(release_check, "copy_commit", lambda folder, keep_times: folder.mkdir(parents=True))

    return replace


def test_two_builds_that_differ_are_refused(builds, tmp_path, capsys):
    builds(b"one", b"other")
    with pytest.raises(SystemExit, match="Two builds of the same commit differ"):
        build_twice(tmp_path)
    assert len({line.split()[0] for line in capsys.readouterr().out.splitlines()}) == 2


def test_the_first_of_two_equal_builds_is_released(builds, tmp_path):
    builds(b"same", b"same")
    assert build_twice(tmp_path) == (tmp_path / "dist-1/a.whl", tmp_path / "dist-1/a.tar.gz")


def test_required_packages_are_those_of_the_package_and_of_the_given_extras(tmp_path):
    wheel = tmp_path / "a.whl"
    required = ["Requests>=2", "isal", "apache_airflow[async]>=3.0", "gcsfs>=2026; extra == 'google'"]
    with zipfile.ZipFile(wheel, "w") as opened:
        opened.writestr("a.dist-info/METADATA", "".join(f"Requires-Dist: {line}\n" for line in required))
    assert required_packages(wheel) == {"requests", "isal", "apache-airflow"}
    assert required_packages(wheel, ["google"]) == {"requests", "isal", "apache-airflow", "gcsfs"}


def test_what_the_installed_package_is_checked_with_exists():
    imports = [line for line in release_check.CHECKS.splitlines() if line.startswith(("import ", "from "))]
    assert len(imports) > 5
    exec("\n".join(imports))


def test_a_dependency_that_the_bill_of_materials_lists_only_for_another_package_is_missing(tmp_path):
    sbom = tmp_path / "sbom.json"
    content = {
        "metadata": {"component": {"bom-ref": "root"}},
        "components": [{"bom-ref": f"{name}==1", "name": name} for name in ("Requests", "idna")],
        "dependencies": [
            {"ref": "root", "dependsOn": ["Requests==1"]},
            {"ref": "Requests==1", "dependsOn": ["idna==1"]},
        ],
    }
    sbom.write_text(json.dumps(content))
    assert missing_components({"requests", "idna", "isal"}, sbom) == {"idna", "isal"}
