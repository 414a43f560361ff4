# SPDX-License-Identifier: Apache-2.0
"""The example ``connectif_on_export_failed`` in a real Airflow with a mail server, whose triggerer is killed.

Each export that fails is announced, and an e-mail is sent about it.
"""

from __future__ import annotations

import email
import email.policy
import json
import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from scripts.local_airflow import LocalAirflow, free_port, sandbox_connection
from scripts.triggerer import Triggerer
from tests.leaks import words_before_a_secret
from tests.system.watching import ROUND, WatchedAirflow

ROOT = Path(__file__).parents[2]
DAG = "connectif_on_export_failed"
EXPORTS = int(os.environ.get("CONNECTIF_TEST_EXPORTS", "30"))
INTERRUPTIONS = ("kill", "stop")

try:
    from airflow.sdk.execution_time.context import AssetStateStoreAccessors  # noqa: F401
except ImportError:
    pytest.skip("Airflow 3.3 and later have a store for the cursor", allow_module_level=True)


class Mailbox:
    """The e-mails that a mail server has received."""

    def __init__(self) -> None:
        self.received: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.received.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    def texts(self) -> list[str]:
        return [mail.get_body(("html",)).get_content() for mail in self.received]


class Watched(WatchedAirflow):
    """The results of the run."""

    def __init__(self, airflow: LocalAirflow, vendor: Any, mailbox: Mailbox) -> None:
        super().__init__(airflow, vendor, DAG)
        self.mailbox = mailbox
        self.failed: list[str] = []
        self.finished: list[str] = []

    def run(self) -> None:
        """Create exports of which every third fails, and interrupt the triggerer meanwhile."""
        failed_before = self.vendor.create_in_app({"fail": True})
        self.airflow.unpause(DAG)
        self.wait_for_cursor()
        share = EXPORTS // (2 * len(INTERRUPTIONS))
        with Triggerer(self.airflow) as triggerer:
            for number, how in enumerate(INTERRUPTIONS, start=1):
                before = self._create_exports(share)
                if number == 1:
                    # Killed immediately after an announcement, which the cursor does not include yet.
                    self.wait_until_announced(before)
                # Whether the API reports when an export failed is not known, and it may change its mind.
                self.vendor.set(hide_finished_at_of_failed=number % 2 == 1)
                last = number == len(INTERRUPTIONS)
                rest = EXPORTS - share - len(self.failed) - len(self.finished) if last else 0
                self.interrupt(triggerer, how, lambda rest=rest: self._create_exports(share + rest))
            self.wait_until_announced(self.failed)
            self.wait_until_all_runs_ended()
        assert failed_before not in self.announced()

    def _create_exports(self, count: int) -> list[str]:
        """Create exports, and return those that fail."""
        failed = []
        begin = datetime.now(timezone.utc)
        for number in range(count):
            index = len(self.failed) + len(self.finished)
            body: dict[str, Any] = {
                "exportType": ("contacts", "data-explorer")[index % 2],
                "origin": ("app", "api")[index % 4 // 2],
                "createdAt": (begin - timedelta(seconds=number)).isoformat(),
                "finishedAt": begin.isoformat(),
                "fail": index % 3 == 2,
            }
            if index % 2:
                body["filters"] = {"reportId": "rep-1", "fromDate": "2026-11-01", "toDate": "2026-11-02"}
            export_id = self.vendor.create_in_app(body)
            (self.failed if body["fail"] else self.finished).append(export_id)
            failed += [export_id] if body["fail"] else []
        return failed


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("failed")
    dags = folder / "dags"
    dags.mkdir()
    (dags / f"{DAG}.py").write_text((ROOT / "example_dags" / f"{DAG}.py").read_text())
    mailbox = Mailbox()
    mail_server = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    mail_server.start()
    with Sandbox(SandboxOptions(seconds_per_export=0, rows=5)).serve(port=0) as vendor:
        airflow = LocalAirflow(
            folder / "airflow",
            dags=dags,
            connections={
                "connectif_default": {
                    **sandbox_connection(vendor.url, vendor.key),
                    "extra": {"app_url": "https://app.example", "store_id": "store-1"},
                },
                "smtp_default": {
                    "conn_type": "smtp",
                    "host": "127.0.0.1",
                    "port": mail_server.port,
                    "extra": {"disable_ssl": True, "disable_tls": True},
                },
            },
            environment={
                "CONNECTIF_POKE_INTERVAL": str(ROUND),
                "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
            },
        )
        try:
            with airflow:
                found = Watched(airflow, vendor, mailbox)
                found.run()
                yield found
        finally:
            mail_server.stop()


def test_each_failed_export_is_announced_and_no_other(watched):
    assert len(watched.failed) == EXPORTS // 3
    assert len(watched.finished) == EXPORTS - EXPORTS // 3
    assert set(watched.announced()) == set(watched.failed)


def test_only_exports_of_the_last_round_before_an_interruption_are_announced_again(watched):
    again, unexplained = watched.repeated()
    print(f"{len(watched.failed)} failed, {len(watched.events())} announcements; announced again after: {dict(again)}")
    assert unexplained == []


def test_the_event_says_who_created_the_export_and_links_to_its_report(watched):
    for export_id, _, payload in watched.events():
        assert payload["export"]["id"] == export_id
        assert payload["export"]["status"] == "error"
        assert payload["export"]["origin"] in ("app", "api")
        is_report = payload["export"]["exportType"] == "data-explorer"
        link = "https://app.example/store/store-1/data-explorer-report/rep-1" if is_report else None
        assert payload["link"] == link
        assert words_before_a_secret(json.dumps(payload)) is None
    assert len({payload["link"] for _, _, payload in watched.events()}) == 2


def test_an_email_is_sent_about_each_failed_export(watched):
    mails = dict(zip([str(mail["Subject"]) for mail in watched.mailbox.received], watched.mailbox.texts(), strict=True))
    assert set(mails) == {f"Connectif export {export_id} failed" for export_id in watched.failed}
    payloads = {export_id: payload for export_id, _, payload in watched.events()}
    creators = {"app": "someone in the application", "api": "the API"}
    for export_id in watched.failed:
        text, payload = mails[f"Connectif export {export_id} failed"], payloads[export_id]
        assert f"Type: {payload['export']['exportType']}<br>" in text
        assert f"Created by: {creators[payload['export']['origin']]}, at" in text
        assert f"Report: {payload['link'] or 'none'}</p>" in text


def test_every_run_succeeds(watched):
    assert {run["state"] for run in watched.runs()} == {"success"}


def test_neither_key_nor_signed_url_is_in_any_log(watched):
    leaks = {str(path): words for path, text in watched.airflow.all_logs() if (words := words_before_a_secret(text))}
    assert leaks == {}
