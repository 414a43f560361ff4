# SPDX-License-Identifier: Apache-2.0
"""Build both archives, check them, and install each into an empty environment: ``make release-check``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from airflow_provider_connectif import __version__

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
NAME = "airflow_provider_connectif"

# Checks that run in the new environment.
CHECKS = f"""
import sys
from importlib.metadata import version
from pathlib import Path

import airflow_provider_connectif as installed
from airflow.providers_manager import ProvidersManager
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

folder = Path(installed.__file__).parent
assert folder.is_relative_to(sys.prefix), folder
assert version("airflow-provider-connectif") == installed.__version__ == {__version__!r}
assert (folder / "py.typed").exists()
assert "airflow-provider-connectif" in ProvidersManager().providers
assert "connectif" in ProvidersManagerTaskRuntime().hooks
"""


def main() -> None:
    """Check a release.

    :raises subprocess.CalledProcessError: if a command fails; its output has been printed
    """
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--twine", required=True, help="path of twine, which checks the archives")
    twine = options.parse_args().twine
    with tempfile.TemporaryDirectory(prefix="connectif-release-") as name:
        folder = Path(name)
        run(BIN / "uv", "build", "--quiet", "--out-dir", folder / "dist", ROOT)
        wheel = folder / "dist" / f"{NAME}-{__version__}-py3-none-any.whl"
        source = folder / "dist" / f"{NAME}-{__version__}.tar.gz"
        run(twine, "check", "--strict", wheel, source)
        environment = folder / "environment"
        install = (BIN / "uv", "pip", "install", "--quiet", "--python", environment / "bin" / "python")
        run(BIN / "uv", "venv", "--quiet", "--python", sys.executable, environment)
        run(*install, "--constraint", ROOT / "constraints.txt", wheel)
        check_installed(environment, folder)
        run(*install, "--reinstall", "--no-deps", source)
        check_installed(environment, folder)
    print(f"{wheel.name} and {source.name} are ready to be released.")


def check_installed(environment: Path, folder: Path) -> None:
    """Use the installed package, in a folder without any other file of the project."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    settings = {**clean, "AIRFLOW_HOME": str(folder / "airflow")}
    programs = environment / "bin"
    for command in (
        (programs / "python", "-c", CHECKS),
        (programs / "python", "-m", f"{NAME}.sandbox", "--help"),
        (programs / "airflow", "connectif", "exports", "--help"),
    ):
        run(*command, cwd=folder, env=settings, stdout=subprocess.DEVNULL)


def run(*command: object, **how: object) -> None:
    """Run a command, and raise an error if it fails."""
    subprocess.run([str(word) for word in command], check=True, **how)  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
