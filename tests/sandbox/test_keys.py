# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import requests

from airflow_provider_connectif.sandbox.options import BLOCKED_KEY, READ_ONLY_KEY


@pytest.mark.parametrize(
    "header",
    [
        None,
        "apiKey sandbox-key-id:wrong",
        "Bearer sandbox-key-id:sandbox-key-secret",
        "sandbox-key-id:sandbox-key-secret",
        "apiKey apiKey sandbox-key-id:sandbox-key-secret",
    ],
)
def test_a_wrong_key_is_rejected_without_a_body(sandbox, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    response = requests.get(f"{sandbox.url}/exports", headers=headers, timeout=10)
    assert (response.status_code, response.content) == (401, b"")


def test_a_read_only_key_reads_but_neither_creates_nor_deletes(client) -> None:
    export = client.create()
    client.key = READ_ONLY_KEY
    assert client.get("/exports").status_code == 200
    assert client.export(export["id"])["id"] == export["id"]
    for response in (
        client.post("/exports", client.contacts()),
        client.post("/exports/type/data-explorer", client.report()),
        client.call("DELETE", f"/exports/{export['id']}"),
    ):
        assert response.status_code == 403
        assert set(response.json()) == {"status", "title", "detail"}
    assert client.running.stats.created_by_api == 1


def test_a_blocked_key_is_rejected_everywhere(client) -> None:
    client.key = BLOCKED_KEY
    assert client.get("/exports").status_code == 403
    assert client.post("/exports", client.contacts()).status_code == 403


def test_the_key_is_an_option(sandbox, client) -> None:
    sandbox.set(key="a:b")
    assert client.get("/exports").status_code == 401
    client.key = "a:b"
    assert client.get("/exports").status_code == 200
