# SPDX-License-Identifier: Apache-2.0
"""What every test can rely on: its own Airflow, no network but the loopback, no secret in the output."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.leaks import words_before_a_secret
from tests.stores import (  # noqa: F401  fixtures, for every test
    azure_store,
    azurite,
    gcs_store,
    local_store,
    memory_store,
    place,
    s3_server,
    s3_store,
    small_parts,
    strict_place,
)

# Airflow reads its configuration when it is first imported, which is after this file.
_HOME = Path(tempfile.mkdtemp(prefix="connectif-tests-"))
for _name in [name for name in os.environ if name.startswith(("AIRFLOW_", "AIRFLOW__"))]:
    del os.environ[_name]
os.environ.update(
    AIRFLOW_HOME=str(_HOME),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(_HOME / "dags"),
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False",
    # Cloud libraries look for credentials on the network when they find none here.
    AWS_EC2_METADATA_DISABLED="true",
    NO_GCE_CHECK="true",
)


_SYSTEM = "tests/system/"

_AZURITE = Path(__file__).parents[1] / ".tools" / "node_modules" / ".bin" / "azurite"
if _AZURITE.exists():  # put there by scripts/install-tools.sh
    os.environ.setdefault("AZURITE", str(_AZURITE))


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_db() -> Path:
    """An Airflow database, for tests that run DAGs in their own process (`dag.test()`); its home."""
    from airflow.utils.db import initdb

    initdb()
    return _HOME


def _is_local(host: str) -> bool:
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections to other machines are refused, so that no test depends on them nor bothers them."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(str(address[0])):  # type: ignore[index]
            raise ConnectionRefusedError(f"tests talk to this machine alone, not to {address}")
        return connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests, those of the real Airflow, which take longest, come first."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: not item.nodeid.startswith(_SYSTEM))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a file's tests in one of the processes that share the tests, and all that use the one real Airflow."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _SYSTEM if nodeid.startswith(_SYSTEM) else nodeid.partition("::")[0]

    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Fail a test whose captured output or log shows a secret; the sandbox's own tests may."""
    report = yield
    exempt = "sandbox" in item.path.parts or item.get_closest_marker("shows_secrets")
    if call.when == "teardown" and report.passed and not exempt:
        for _when, name, text in item._report_sections:
            if (before := words_before_a_secret(text)) is not None:
                report.outcome = "failed"
                report.longrepr = f"A secret was written to {name}, after:\n{before}"
                break
    return report
