# SPDX-License-Identifier: Apache-2.0
"""Build the wheel and the source archive: ``make build``. The same commit always gives the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from airflow_provider_connectif import __version__

ROOT = Path(__file__).parents[1]
NAME = "airflow_provider_connectif"


def build(source: Path, into: Path, environment: Mapping[str, str] | None = None) -> tuple[Path, Path]:
    """Build the wheel and the source archive, and return their paths.

    :param source: the folder of the project
    :param into: the output folder
    :param environment: additional environment variables
    """
    uv = Path(sys.executable).with_name("uv")
    # The build backend writes its own version into the wheel.
    command = [uv, "build", "--quiet", "--build-constraint", source / "constraints.txt", "--out-dir", into, source]
    settings = {**os.environ, **commit_time(), **(environment or {})}
    subprocess.run([str(word) for word in command], check=True, env=settings)
    return into / f"{NAME}-{__version__}-py3-none-any.whl", into / f"{NAME}-{__version__}.tar.gz"


def commit_time() -> dict[str, str]:
    """Return the time for the files in the archives. Outside of a repository, the build backend has a constant one."""
    command = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return {} if done.returncode else {"SOURCE_DATE_EPOCH": done.stdout.strip()}


if __name__ == "__main__":
    print(*build(ROOT, ROOT / "dist"), sep="\n")
