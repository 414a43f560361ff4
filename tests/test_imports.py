# SPDX-License-Identifier: Apache-2.0
"""Parsing a DAG file stays cheap: what DAG files import loads no library that ``airflow.sdk`` had not loaded."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "airflow_provider_connectif"
MODULES = [
    "airflow_provider_connectif.operators.connectif",
    "airflow_provider_connectif.sensors.connectif",
    "airflow_provider_connectif.transfers.connectif_to_object_storage",
    "airflow_provider_connectif.windows",
]

# Starting Airflow is what takes the time: it is started once, and each group of modules gets a fork of it.
LOADED = """
import importlib, json, os, sys
import airflow.sdk
# What Airflow loads by itself as soon as an operator is there is not ours.
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
before = set(sys.modules)
for group in json.loads(sys.argv[1]):
    if not os.fork():
        for module in group:
            importlib.import_module(module)
        print("LOADED", json.dumps(sorted(set(sys.modules) - before)), flush=True)
        os._exit(0)
    if os.wait()[1]:
        sys.exit(f"{group} cannot be imported")
"""

HEAVY = {"requests", "urllib3", "tenacity", "fsspec", "upath", "pydantic", "isal", "asgiref", "starlette", "uvicorn"}


@pytest.fixture(scope="module")
def groups() -> dict[str, set[str]]:
    """What is loaded anew by each module alone, and by all that DAG files import together."""
    trigger = "airflow_provider_connectif.triggers.connectif"
    asked = {"all": MODULES, "trigger": [trigger], "base": ["airflow.triggers.base"]}
    asked |= {each: [each] for each in MODULES}
    command = [sys.executable, "-c", LOADED, json.dumps(list(asked.values()))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("LOADED ")]
    found = [set(json.loads(line.removeprefix("LOADED "))) for line in lines]
    return dict(zip(asked, found, strict=True))


@pytest.fixture
def loaded(groups: dict[str, set[str]]) -> set[str]:
    return groups["all"]


def test_nothing_heavy_is_loaded_by_operators_sensors_transfers_and_windows(loaded):
    assert {name.partition(".")[0] for name in loaded}.isdisjoint(HEAVY)


def test_nothing_but_this_package_and_airflows_own_compatibility_is(loaded):
    """So that the standard library's slower parts (email, decimal, …) do not creep in either."""
    # The base of operators' links is a small module of Airflow's own, which any operator with a link needs.
    ours = ("airflow_provider_connectif", "airflow.providers.common.compat", "airflow.sdk.bases.operatorlink")
    # Airflow 3.0 has not loaded these by itself: the compatibility's package, and a module of a few exceptions.
    small = {"airflow.providers.common", "airflow.sdk.exceptions"}
    assert {name for name in loaded if not name.startswith(ours)} - small == set()


def test_the_rooms_that_work_are_not_loaded_before_there_is_work(loaded):
    rooms = {name.removeprefix("airflow_provider_connectif.") for name in loaded}
    working = ("api.client", "api.creation", "files.download", "files.unpack", "files.folder", "hooks", "sandbox")
    assert not {room for room in rooms if room.startswith(working)}


@pytest.mark.parametrize("module", MODULES)
def test_each_can_be_imported_alone(groups, module):
    assert module in groups[module]


def test_the_trigger_loads_what_airflows_own_base_needs_and_no_more(groups):
    ours = groups["trigger"] - groups["base"]
    assert "airflow_provider_connectif.api.polling.poller" in ours
    assert not {name for name in ours if name.partition(".")[0] in HEAVY}


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("room", ["api", "files"])
def test_api_and_files_know_nothing_of_airflow(room):
    for path in (PACKAGE / room).rglob("*.py"):
        assert not {name for name in imports_of(path) if name.partition(".")[0] == "airflow"}, path


def test_files_know_nothing_of_the_api():
    for path in (PACKAGE / "files").rglob("*.py"):
        assert not {name for name in imports_of(path) if name.startswith("airflow_provider_connectif.api")}, path


def test_airflows_rooms_hold_no_http_and_no_zip():
    for room in ("cli", "hooks", "operators", "sensors", "transfers", "triggers", "tasks"):
        for path in (PACKAGE / room).rglob("*.py"):
            assert imports_of(path).isdisjoint({"requests", "urllib3", "zipfile", "zlib", "tenacity", "isal"}), path
