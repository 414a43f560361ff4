# SPDX-License-Identifier: Apache-2.0
"""A real Airflow registers the provider, its hook and the form of its connections."""

from __future__ import annotations

import json

import pytest

import airflow_provider_connectif


def test_the_cli_shows_the_provider_and_its_version(airflow):
    (provider,) = json.loads(airflow.cli("providers", "get", "airflow-provider-connectif", "--output", "json"))
    assert provider == {
        "Provider": "airflow-provider-connectif",
        "Version": airflow_provider_connectif.__version__,
    }


def test_the_cli_shows_the_hook_with_its_connection_type(airflow):
    hooks = json.loads(airflow.cli("providers", "hooks", "--output", "json"))
    (hook,) = (found for found in hooks if found["connection_type"] == "connectif")
    assert hook["class"] == "airflow_provider_connectif.hooks.connectif.ConnectifHook"
    assert hook["conn_id_attribute_name"] == "connectif_conn_id"
    assert hook["package_name"] == "airflow-provider-connectif"
    assert hook["hook_name"] == "Connectif"


@pytest.fixture(scope="module")
def form(airflow):
    hooks = airflow.api("GET", "/ui/connections/hook_meta")
    (found,) = (hook for hook in hooks if hook["connection_type"] == "connectif")
    return found


def test_the_api_server_returns_the_custom_fields(form):
    titles = {name: field["schema"]["title"] for name, field in form["extra_fields"].items()}
    assert titles == {
        "app_url": "Web application",
        "store_id": "Store id",
        "request_timeout": "Request timeout",
    }
    assert all(field["description"] for field in form["extra_fields"].values())


def test_the_api_server_returns_the_standard_fields_with_their_meaning_for_connectif(form):
    standard = form["standard_fields"]
    assert standard["password"]["title"] == "Password (API key)"
    assert standard["password"]["placeholder"] == "keyId:keySecret"
    assert standard["host"]["title"] == "Host (base URL)"
    assert "https://api.connectif.cloud" in standard["host"]["placeholder"]
    assert standard["url_schema"]["hidden"]
    assert not standard["port"]["hidden"]  # without a port, Airflow 3.3.2 does not test a saved connection


def test_all_examples_can_be_imported(airflow):
    airflow.unpause("connectif_activities")  # waits until the examples have been parsed
    assert airflow.api("GET", "/api/v2/importErrors")["import_errors"] == []
