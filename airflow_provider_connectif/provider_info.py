# SPDX-License-Identifier: Apache-2.0
"""The provider's metadata, which Airflow reads through the entry point ``apache_airflow_provider``.

Airflow reads it in every process, so the module imports nothing. The connection form is described here instead of by
methods of the hook, which Airflow 3.3 deprecates; so the API server never imports the hook.
"""

from __future__ import annotations

from typing import Any

INTEGRATION = "Connectif"
PACKAGE = "airflow_provider_connectif"

# Airflow stores these fields in the connection's extra, under these names.
CONNECTION_FIELDS: dict[str, dict[str, Any]] = {
    "app_url": {
        "label": "Web application",
        "description": (
            "URL of your Connectif web application, such as https://eu1.connectif.cloud. "
            "Used only for links to Connectif."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "store_id": {
        "label": "Store id",
        "description": "Your store's id, as shown in the URLs of its pages. Used only for links to Connectif.",
        "schema": {"type": ["string", "null"]},
    },
    "request_timeout": {
        "label": "Request timeout",
        "description": "Seconds to wait for each response of the API. Empty: the provider's default.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
}


def _modules(*names: str) -> list[dict[str, Any]]:
    return [{"integration-name": INTEGRATION, "python-modules": [f"{PACKAGE}.{name}" for name in names]}]


def get_provider_info() -> dict[str, Any]:
    """Return the metadata in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-connectif",
        "name": INTEGRATION,
        "description": "`Connectif <https://www.connectif.ai/>`__ exports: create, wait for and store them.\n",
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://www.connectif.ai/",
                "tags": ["service"],
            }
        ],
        "operators": _modules("operators.connectif"),
        "sensors": _modules("sensors.connectif"),
        "hooks": _modules("hooks.connectif"),
        "triggers": _modules("triggers.connectif"),
        "transfers": [
            {
                "source-integration-name": INTEGRATION,
                "target-integration-name": "Common IO",
                "python-module": f"{PACKAGE}.transfers.connectif_to_object_storage",
            }
        ],
        # Airflow 3.0 and 3.1 ignore this entry.
        "cli": [f"{PACKAGE}.cli.definition.get_connectif_cli_commands"],
        "extra-links": [f"{PACKAGE}.links.connectif.ConnectifReportLink"],
        "connection-types": [
            {
                "connection-type": "connectif",
                "hook-class-name": f"{PACKAGE}.hooks.connectif.ConnectifHook",
                "hook-name": "Connectif",
                "ui-field-behaviour": {
                    # The port stays visible: Airflow 3.3.1 and 3.3.2 treat an empty port as a changed one, and
                    # then test a saved connection without its key (apache/airflow#73298).
                    "hidden-fields": ["schema"],
                    "relabeling": {
                        "host": "Host (base URL)",
                        "login": "Login (key id)",
                        "password": "Password (API key)",
                    },
                    "placeholders": {
                        "host": "https://api.connectif.cloud if empty",
                        "login": "empty if Password is the whole keyId:keySecret",
                        "password": "keyId:keySecret",
                        "port": "443 makes Test work in Airflow 3.3.1 and 3.3.2",
                    },
                },
                "conn-fields": CONNECTION_FIELDS,
            }
        ],
    }
