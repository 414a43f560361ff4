# SPDX-License-Identifier: Apache-2.0
"""For every test: a separate Airflow home, no network but loopback, and no secrets in the output."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import interrupt  # noqa: F401  a fixture, for every test
from tests.leaks import words_before_a_secret
from tests.postgres import postgres  # noqa: F401  a fixture, for every test
from tests.stores import (  # noqa: F401  fixtures, for every test
    azure_store,
    azurite,
    certificate,
    conditional_place,
    gcs_store,
    local_store,
    memory_store,
    moto_server,
    moto_store,
    place,
    s3_server,
    s3_store,
    small_parts,
    strict_place,
)

# Airflow reads its configuration when it is first imported, which happens after this.
_HOME = Path(tempfile.mkdtemp(prefix="connectif-tests-"))
for _name in [name for name in os.environ if name.startswith(("AIRFLOW_", "AIRFLOW__"))]:
    del os.environ[_name]
os.environ.update(
    AIRFLOW_HOME=str(_HOME),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(_HOME / "dags"),
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False",
    # Otherwise cloud libraries look for credentials on the network.
    AWS_EC2_METADATA_DISABLED="true",
    NO_GCE_CHECK="true",
)


_SYSTEM = "tests/system/"


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_db() -> Path:
    """Airflow's home, with a database, for tests that need one in their own process."""
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
def no_cached_stores() -> Iterator[None]:
    """Forget the stores that Airflow keeps for each scheme and connection: their endpoint is that of one test."""
    yield
    for name in ("airflow.sdk.io.store", "airflow.io.store"):  # the second is that of Airflow 3.0
        if (module := sys.modules.get(name)) is not None:
            getattr(module, "_STORE_CACHE", {}).clear()


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to other machines, so that no test depends on them."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(str(address[0])):  # type: ignore[index]
            raise ConnectionRefusedError(f"tests may only connect to this machine, not to {address}")
        return connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """If several processes run the tests, start with those of the real Airflow, which take longest."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: not item.nodeid.startswith(_SYSTEM))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Run the tests of a file in one process, and all tests that use the real Airflow in one process."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _SYSTEM if nodeid.startswith(_SYSTEM) else nodeid.partition("::")[0]

    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Fail a test whose captured output or log contains a secret, except for tests of the sandbox."""
    report = yield
    exempt = "sandbox" in item.path.parts or item.get_closest_marker("shows_secrets")
    if call.when == "teardown" and report.passed and not exempt:
        for _when, name, text in item._report_sections:
            if (before := words_before_a_secret(text)) is not None:
                report.outcome = "failed"
                report.longrepr = f"A secret was written to {name}, after:\n{before}"
                break
    return report
