# SPDX-License-Identifier: Apache-2.0
"""Send an e-mail for each export that fails or is cancelled, whoever created it.

A trigger watches the list of exports and emits an asset event for each one that fails. The e-mail is sent by the
notifier of Airflow's SMTP provider, which is part of every Airflow, through the connection ``smtp_default``. Any other
notifier works the same way. It is called by a task, and not by a callback, because Airflow retries a task if the mail
server is not available.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG, Asset, AssetWatcher, get_current_context, task

from airflow_provider_connectif.events import triggering_exports
from airflow_provider_connectif.triggers.connectif import ConnectifExportFinishedEventTrigger

MAIL_FROM = os.environ.get("CONNECTIF_MAIL_FROM", "airflow@example.com")
MAIL_TO = os.environ.get("CONNECTIF_MAIL_TO", "marketing@example.com")
POKE_INTERVAL = float(os.environ.get("CONNECTIF_POKE_INTERVAL", "60"))

failed = Asset(
    "connectif_export_failed",
    watchers=[
        AssetWatcher(
            name="connectif",
            trigger=ConnectifExportFinishedEventTrigger(
                "connectif_default",
                status="error",
                consumer="connectif_export_failed",
                poke_interval=POKE_INTERVAL,
            ),
        )
    ],
)

with DAG(
    "connectif_on_export_failed",
    schedule=[failed],
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2},
    doc_md=__doc__,
    tags=["connectif"],
):

    @task(inlets=[failed])
    def failed_exports(triggering_asset_events: Any = None, inlet_events: Any = None) -> list[dict[str, Any]]:
        """Return the exports that triggered this run."""
        return triggering_exports(triggering_asset_events, inlet_events)

    @task
    def notify(failed: dict[str, Any]) -> None:
        """Send an e-mail about one export."""
        notifier = SmtpNotifier(
            from_email=MAIL_FROM,
            to=MAIL_TO,
            # What the API reports is not part of these templates, because it would be rendered too.
            subject="Connectif export {{ failed.export_id }} failed",
            html_content=(
                "<p>Export: {{ failed.export_id | e }}<br>"
                "Type: {{ failed.export.exportType | e }}<br>"
                "Status: {{ failed.export.status | e }}<br>"
                "Created by: {{ {'app': 'someone in the application', 'api': 'the API'}"
                ".get(failed.export.origin, 'unknown') }}, at {{ failed.export.createdAt | e }}<br>"
                "Report: {{ failed.link | e if failed.link else 'none' }}</p>"
            ),
        )
        notifier({**get_current_context(), "failed": failed})

    notify.expand(failed=failed_exports())
