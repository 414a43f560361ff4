# SPDX-License-Identifier: Apache-2.0
"""Build and check a release of the current commit: ``make release-check``.

Both archives are built twice, in different folders, and must be the same. They are checked, and each is installed into
an empty environment and used there, without and with the extra ``parquet``. The environment's packages are listed in a
software bill of materials (CycloneDX). The workflows in ``.github`` are audited.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

from airflow_provider_connectif import __version__
from scripts.build import NAME, ROOT, build, commit_time

BIN = Path(sys.executable).parent
SBOM = ROOT / "build" / f"{NAME}-{__version__}.cdx.json"

#: The extras in the bill of materials. The others add a provider of Airflow, with its own dependencies.
EXTRAS = ("parquet",)

# Checks that run in the new environment, with the names of the installed extras as arguments.
CHECKS = f"""
import sys
from importlib.metadata import version
from pathlib import Path

import airflow_provider_connectif as installed
from airflow.providers_manager import ProvidersManager
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime
from airflow_provider_connectif.files.tables.arrow import import_pyarrow
from airflow_provider_connectif.files.tables.errors import ParquetUnavailable
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

folder = Path(installed.__file__).parent
assert folder.is_relative_to(sys.prefix), folder
assert version("airflow-provider-connectif") == installed.__version__ == {__version__!r}
assert (folder / "py.typed").exists()
assert "airflow-provider-connectif" in ProvidersManager().providers
assert "connectif" in ProvidersManagerTaskRuntime().hooks
try:
    import_pyarrow()
except ParquetUnavailable as error:
    assert "parquet" not in sys.argv, error
    assert "install airflow-provider-connectif[parquet]" in str(error), error
else:
    assert "parquet" in sys.argv, "pyarrow is installed without the extra"
"""


def main() -> None:
    """Check a release, and leave the archives in ``dist`` and the bill of materials in ``build``.

    :raises subprocess.CalledProcessError: if a command fails; its output has been printed
    """
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--tools", type=Path, required=True, help="folder of twine, zizmor and cyclonedx-py")
    options.add_argument("--tag", help="fail unless this is the tag of the version")
    arguments = options.parse_args()
    if arguments.tag not in (None, f"v{__version__}"):
        sys.exit(f"The tag is {arguments.tag}, but the version in {NAME}/__init__.py is {__version__}.")
    if (ROOT / ".github").exists():
        run(arguments.tools / "zizmor", "--offline", "--no-progress", "--persona", "pedantic", ROOT / ".github")
    with tempfile.TemporaryDirectory(prefix="connectif-release-") as name:
        folder = Path(name)
        wheel, source = build_twice(folder)
        run(arguments.tools / "twine", "check", "--strict", wheel, source)
        environment = folder / "environment"
        install = (BIN / "uv", "pip", "install", "--quiet", "--python", environment / "bin" / "python")
        run(BIN / "uv", "venv", "--quiet", "--python", sys.executable, environment)
        run(*install, "--constraint", ROOT / "constraints.txt", wheel)
        check_installed(environment, folder)
        with_extras = f"airflow-provider-connectif[{','.join(EXTRAS)}] @ {wheel.as_uri()}"
        run(*install, "--constraint", ROOT / "constraints.txt", with_extras)
        write_sbom(arguments.tools / "cyclonedx-py", environment, folder)
        run(*install, "--reinstall", "--no-deps", source)
        check_installed(environment, folder, *EXTRAS)
        (ROOT / "dist").mkdir(exist_ok=True)
        for path in (wheel, source):
            shutil.copy(path, ROOT / "dist")
    missing = missing_components(required_packages(ROOT / "dist" / wheel.name, EXTRAS), SBOM)
    if missing:
        sys.exit(f"{SBOM.name} does not list {', '.join(sorted(missing))}.")
    print(f"dist/{wheel.name}, dist/{source.name} and build/{SBOM.name} are ready to be released.")


def build_twice(folder: Path) -> tuple[Path, Path]:
    """Build the current commit in two folders under different conditions, and return the first two archives."""
    sums = []
    for number, umask, settings in (
        (1, 0o022, {}),
        (2, 0o077, {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "7"}),
    ):
        checkout = folder / ("first" if number == 1 else "a/second folder")
        previous = os.umask(umask)
        try:
            copy_commit(checkout, keep_times=number == 1)
            archives = build(checkout, folder / f"dist-{number}", settings)
        finally:
            os.umask(previous)
        sums.append([sha256(path) for path in archives])
    for path, first, second in zip(archives, *sums, strict=True):
        print(f"{first}  {path.name}\n{second}  {path.name} (built again in another folder)")
    if sums[0] != sums[1]:
        sys.exit("Two builds of the same commit differ.")
    wheel, source = (folder / "dist-1" / path.name for path in archives)
    return wheel, source


def copy_commit(folder: Path, *, keep_times: bool = True) -> None:
    """Copy the files of the current commit; outside of a repository, such as in the source archive, all files."""
    folder.mkdir(parents=True)
    if not (ROOT / ".git").exists():
        shutil.copytree(ROOT, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".venv", ".tools", "dist"))
        return
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    extract = ["tar", "--extract", "--directory", str(folder), *([] if keep_times else ["--touch"])]
    subprocess.run(extract, input=archive, check=True)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_sbom(cyclonedx: Path, environment: Path, folder: Path) -> None:
    """List the packages of the environment, as those with which the release was checked."""
    SBOM.parent.mkdir(exist_ok=True)
    project = (ROOT / "pyproject.toml").read_text()
    described = folder / "pyproject.toml"
    described.write_text(project.replace('dynamic = ["version"]', f'version = "{__version__}"'))
    inputs = ("--pyproject", described, "--mc-type", "library", environment / "bin" / "python")
    settings = {**os.environ, **commit_time()}
    run(cyclonedx, "environment", "--output-reproducible", "--output-file", SBOM, *inputs, env=settings)


def required_packages(wheel: Path, extras: Sequence[str] = ()) -> set[str]:
    """Return the names of the packages that the wheel requires with some of its extras."""
    with ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        lines = HeaderParser().parsestr(opened.read(name).decode()).get_all("Requires-Dist") or []
    # Without `packaging`: this script runs in an environment that has nothing but uv.
    found = [(re.findall(r"^[\w.-]+", line)[0], re.findall(r"extra == ['\"]([\w-]+)", line)) for line in lines]
    return {name.lower().replace("_", "-") for name, extra in found if set(extra) <= set(extras)}


def missing_components(names: set[str], sbom: Path) -> set[str]:
    """Return the packages that a bill of materials does not list as dependencies of this package."""
    content = json.loads(sbom.read_text())
    named = {component["bom-ref"]: component["name"] for component in content["components"]}
    root = content["metadata"]["component"]["bom-ref"]
    (direct,) = (entry.get("dependsOn", []) for entry in content["dependencies"] if entry["ref"] == root)
    return names - {named[reference].lower().replace("_", "-") for reference in direct if reference in named}


def check_installed(environment: Path, folder: Path, *extras: str) -> None:
    """Use the installed package, in a folder without any other file of the project.

    :param extras: the extras that it is installed with
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    settings = {**clean, "AIRFLOW_HOME": str(folder / "airflow")}
    programs = environment / "bin"
    for command in (
        (programs / "python", "-c", CHECKS, *extras),
        (programs / "python", "-m", f"{NAME}.sandbox", "--help"),
        (programs / "airflow", "connectif", "exports", "--help"),
    ):
        run(*command, cwd=folder, env=settings, stdout=subprocess.DEVNULL)


def run(*command: object, **how: object) -> None:
    """Run a command, and raise an error if it fails."""
    subprocess.run([str(word) for word in command], check=True, **how)  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
