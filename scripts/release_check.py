# SPDX-License-Identifier: Apache-2.0
"""``make release-check``: builds both archives, has them checked, and installs each into an empty environment."""

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

# What a new user has right after installing it.
TRIED = f"""
import sys
from importlib.metadata import version
from pathlib import Path

import airflow_provider_connectif as installed
from airflow.providers_manager import ProvidersManager
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator

folder = Path(installed.__file__).parent
assert folder.is_relative_to(sys.prefix), folder
assert version("airflow-provider-connectif") == installed.__version__ == {__version__!r}
assert (folder / "py.typed").exists()
assert "airflow-provider-connectif" in ProvidersManager().providers
assert "connectif" in ProvidersManager().hooks
"""


def main() -> None:
    """Check a release.

    :raises subprocess.CalledProcessError: at the first thing that is wrong; its words are above.
    """
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--twine", required=True, help="the program that checks the archives")
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
        try_out(environment, folder)
        run(*install, "--reinstall", "--no-deps", source)
        try_out(environment, folder)
    print(f"{wheel.name} and {source.name} are fit to be released.")


def try_out(environment: Path, folder: Path) -> None:
    """Use what is installed, from a folder where nothing else of the project is."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    settings = {**clean, "AIRFLOW_HOME": str(folder / "airflow")}
    programs = environment / "bin"
    for command in (
        (programs / "python", "-c", TRIED),
        (programs / "python", "-m", f"{NAME}.sandbox", "--help"),
        (programs / "airflow", "connectif", "exports", "--help"),
    ):
        run(*command, cwd=folder, env=settings, stdout=subprocess.DEVNULL)


def run(*command: object, **how: object) -> None:
    """Run a command that must succeed."""
    subprocess.run([str(word) for word in command], check=True, **how)  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
