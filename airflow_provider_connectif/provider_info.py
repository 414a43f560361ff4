# SPDX-License-Identifier: Apache-2.0
"""What Airflow learns of this provider from its entry point ``apache_airflow_provider``.

Airflow reads this in every process, so the module imports nothing. The connection's form is described here
and not by methods of the hook: Airflow 3.3 deprecates those, and so the web server never imports the hook.
"""

from __future__ import annotations

from typing import Any

INTEGRATION = "Connectif"
PACKAGE = "airflow_provider_connectif"

# `conn-fields` are stored in the connection's extra, under these names.
CONNECTION_FIELDS: dict[str, dict[str, Any]] = {
    "app_url": {
        "label": "Web application",
        "description": (
            "Address of your Connectif web application, such as https://eu1.connectif.cloud. "
            "Only for links to Connectif."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "store_id": {
        "label": "Store id",
        "description": "Your store's id, as its pages' addresses show it. Only for links to Connectif.",
        "schema": {"type": ["string", "null"]},
    },
    "request_timeout": {
        "label": "Request timeout",
        "description": "Seconds to wait for each answer of the API. Empty: the provider's default.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
}


def _modules(*names: str) -> list[dict[str, Any]]:
    return [{"integration-name": INTEGRATION, "python-modules": [f"{PACKAGE}.{name}" for name in names]}]


def get_provider_info() -> dict[str, Any]:
    """Describe the provider in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-connectif",
        "name": INTEGRATION,
        "description": "`Connectif <https://www.connectif.ai/>`__ exports: made, waited for, stored.\n",
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
        # Airflow 3.0 and 3.1 know no such entry, and pass it over.
        "cli": [f"{PACKAGE}.cli.definition.get_connectif_cli_commands"],
        "extra-links": [f"{PACKAGE}.links.connectif.ConnectifReportLink"],
        "connection-types": [
            {
                "connection-type": "connectif",
                "hook-class-name": f"{PACKAGE}.hooks.connectif.ConnectifHook",
                "hook-name": "Connectif",
                "ui-field-behaviour": {
                    # The port stays in sight: Airflow 3.3.1 and 3.3.2 mistake an empty one for a changed
                    # one, and then test a saved connection without its key (apache/airflow#73298).
                    "hidden-fields": ["schema"],
                    "relabeling": {
                        "host": "Host (base URL)",
                        "login": "Login (key id)",
                        "password": "Password (API key)",
                    },
                    "placeholders": {
                        "host": "https://api.connectif.cloud when empty",
                        "login": "empty when Password is the whole keyId:keySecret",
                        "password": "keyId:keySecret",
                        "port": "443 makes Test work in Airflow 3.3.1 and 3.3.2",
                    },
                },
                "conn-fields": CONNECTION_FIELDS,
            }
        ],
    }
