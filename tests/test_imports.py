# SPDX-License-Identifier: Apache-2.0
"""Parsing stays cheap: what DAG files import loads no libraries beyond those that ``airflow.sdk`` has loaded."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

MODULES = [
    "airflow_provider_connectif.operators.connectif",
    "airflow_provider_connectif.sensors.connectif",
    "airflow_provider_connectif.transfers.connectif_to_object_storage",
    "airflow_provider_connectif.windows",
]

# Starting Airflow takes most of the time, so it is started once, and each group of modules is imported in a fork.
LOADED = """
import importlib, json, os, sys
import airflow.sdk
# Airflow itself loads more modules for operators.
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

HTTP = {"requests", "urllib3", "tenacity", "asgiref", "starlette", "uvicorn"}
HEAVY = {*HTTP, "fsspec", "upath", "pydantic", "isal", "numpy", "pyarrow", "duckdb"}


@pytest.fixture(scope="module")
def groups() -> dict[str, set[str]]:
    """The modules loaded by each module of this package alone, and by all that DAG files import together."""
    trigger = "airflow_provider_connectif.triggers.connectif"
    groups = {"all": MODULES, "trigger": [trigger], "base": ["airflow.triggers.base"]}
    groups |= {module: [module] for module in MODULES}
    command = [sys.executable, "-c", LOADED, json.dumps(list(groups.values()))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("LOADED ")]
    found = [set(json.loads(line.removeprefix("LOADED "))) for line in lines]
    return dict(zip(groups, found, strict=True))


@pytest.fixture
def loaded(groups: dict[str, set[str]]) -> set[str]:
    return groups["all"]


def test_dag_facing_modules_load_no_heavy_library(loaded):
    assert {name.partition(".")[0] for name in loaded}.isdisjoint(HEAVY)


def test_dag_facing_modules_load_only_this_package_and_airflows_compatibility_layer(loaded):
    """This also excludes the slower modules of the standard library, such as ``email`` and ``decimal``."""
    # The base class of links is in a small module of Airflow, which every operator with a link needs.
    ours = ("airflow_provider_connectif", "airflow.providers.common.compat", "airflow.sdk.bases.operatorlink")
    # Airflow 3.0 has not loaded these yet: the package of the compatibility layer, and a module of a few exceptions.
    small = {"airflow.providers.common", "airflow.sdk.exceptions"}
    assert {name for name in loaded if not name.startswith(ours)} - small == set()


def test_dag_facing_modules_do_not_load_what_only_running_tasks_need(loaded):
    modules = {name.removeprefix("airflow_provider_connectif.") for name in loaded}
    at_run_time = ("api.client", "api.creation", "files.download", "files.unpack", "files.folder", "hooks", "sandbox")
    assert not {module for module in modules if module.startswith(at_run_time)}


@pytest.mark.parametrize("module", MODULES)
def test_each_can_be_imported_alone(groups, module):
    assert module in groups[module]


def test_the_trigger_loads_no_heavy_library_beyond_those_of_airflows_base_class(groups):
    ours = groups["trigger"] - groups["base"]
    assert "airflow_provider_connectif.api.polling.poller" in ours
    assert not {name for name in ours if name.partition(".")[0] in HEAVY}
