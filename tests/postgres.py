# SPDX-License-Identifier: Apache-2.0
"""A real Postgres for tests, in a temporary folder and without a port: the fixture ``postgres``.

``scripts/install-tools.sh`` installs its programs. The server refuses to run as root: then it runs as ``nobody``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

UNPRIVILEGED = "nobody"
SETTINGS = {"listen_addresses": "", "fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB"}


@pytest.fixture(scope="session")
def postgres() -> Iterator[dict[str, str]]:
    """The arguments with which libpq connects to a running, empty server."""
    # Not pytest's folder: it is accessible only to its user, and the path of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="connectif-pg-"))
    data = folder / "data"
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        shutil.chown(folder, UNPRIVILEGED)
        as_user = {"user": UNPRIVILEGED, "extra_groups": []}

    def run(program: str, *arguments: str) -> None:
        with open(folder / "output", "ab") as output:
            command = [str(_programs() / program), "-D", str(data), *arguments]
            done = subprocess.run(command, stdout=output, stderr=output, cwd=folder, timeout=60, **as_user)
        assert done.returncode == 0, (folder / "output").read_text()[-3000:]

    options = " ".join(f"-c {name}={value or repr('')}" for name, value in SETTINGS.items())
    run("initdb", "--username=connectif", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
    run("pg_ctl", "start", "--wait", "-o", f"-k {folder} {options}", "-l", str(folder / "log"))
    try:
        yield {"host": str(folder), "user": "connectif", "dbname": "postgres"}
    finally:
        run("pg_ctl", "stop", "--mode=immediate")
        shutil.rmtree(folder)


def _programs() -> Path:
    """Return the folder of the server's programs, which Debian does not put on the PATH."""
    if found := sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3])):
        return found[-1].parent
    on_path = shutil.which("pg_ctl")
    assert on_path, "Postgres is missing: run scripts/install-tools.sh"
    return Path(on_path).parent
