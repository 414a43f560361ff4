# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from importlib import metadata
from importlib.resources import files

import jsonschema
import pytest

import airflow_provider_connectif
from airflow_provider_connectif.provider_info import get_provider_info

INFO = get_provider_info()


def airflow_schema(name: str) -> dict:
    return json.loads(files("airflow").joinpath(name).read_text())


def named_modules() -> set[str]:
    listed = [module for kind in ("operators", "sensors", "hooks", "triggers") for module in INFO[kind]]
    return {name for entry in listed for name in entry["python-modules"]} | {
        *(transfer["python-module"] for transfer in INFO["transfers"]),
        *(link.rpartition(".")[0] for link in INFO["extra-links"]),
    }


def test_airflow_finds_it_through_the_entry_point():
    (entry,) = (
        found
        for found in metadata.entry_points(group="apache_airflow_provider")
        if found.dist is not None and found.dist.name == "airflow-provider-connectif"
    )
    assert entry.load()() == INFO


def test_it_has_the_name_and_version_of_the_distribution():
    assert metadata.version(INFO["package-name"]) == airflow_provider_connectif.__version__


def test_it_conforms_to_the_schema_that_airflow_checks_at_run_time():
    jsonschema.validate(INFO, airflow_schema("provider_info.schema.json"))


def test_its_connection_type_conforms_to_the_schema_of_provider_yaml():
    """The run-time schema does not describe `conn-fields`; that of provider.yaml does."""
    schema = airflow_schema("provider.yaml.schema.json")
    (connection_type,) = INFO["connection-types"]
    item = schema["properties"]["connection-types"]["items"]
    jsonschema.validate(connection_type, {**item, "definitions": schema.get("definitions", {})})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**connection_type, "conn-fields": {"store_id": {"label": "no schema"}}}, item)


def test_the_form_behaviour_conforms_to_the_schema_that_airflow_checks():
    (connection_type,) = INFO["connection-types"]
    behaviour = {key.replace("-", "_"): value for key, value in connection_type["ui-field-behaviour"].items()}
    jsonschema.validate(behaviour, airflow_schema("customized_form_field_behaviours.schema.json"))


@pytest.mark.parametrize("name", sorted(named_modules()))
def test_each_named_module_can_be_imported(name):
    importlib.import_module(name)


@pytest.mark.parametrize("subpackage", ["hooks", "operators", "sensors", "transfers", "triggers"])
def test_each_module_of_the_package_is_named(subpackage):
    package = importlib.import_module(f"airflow_provider_connectif.{subpackage}")
    present = {
        f"{package.__name__}.{found.name}"
        for found in pkgutil.iter_modules(package.__path__)
        if not found.name.startswith("_")
    }
    # The names of the public modules begin with `connectif`; a package may have other modules.
    assert {name for name in present if name.rsplit(".", 1)[1].startswith("connectif")} <= named_modules()


def test_the_hook_class_has_the_connection_type_of_the_metadata():
    (connection_type,) = INFO["connection-types"]
    module, _, name = connection_type["hook-class-name"].rpartition(".")
    hook = getattr(importlib.import_module(module), name)
    assert (hook.conn_type, hook.hook_name) == (
        connection_type["connection-type"],
        connection_type["hook-name"],
    )
    assert hook.default_conn_name == "connectif_default"


def test_reading_it_imports_neither_airflow_nor_libraries():
    code = (
        "import sys; from airflow_provider_connectif.provider_info import get_provider_info as get; get();"
        "print([name for name in sys.modules if name.split('.')[0] in ('airflow', 'requests', 'pydantic')])"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


def test_no_field_of_the_form_but_the_password_is_secret():
    """Extras are not masked, so a secret does not belong there."""
    (connection_type,) = INFO["connection-types"]
    assert set(connection_type["conn-fields"]) == {"app_url", "store_id", "request_timeout"}
