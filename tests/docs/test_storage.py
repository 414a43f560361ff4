# SPDX-License-Identifier: Apache-2.0
"""docs/storage.md: Airflow opens each store with its connection; checked offline."""

from __future__ import annotations

import re

import pytest

from airflow_provider_connectif.tasks.destination import EXTRAS
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs/storage.md"
TEXT = "\n".join(block.text for block in blocks("bash", page=PAGE))


def connections(name):
    return re.findall(rf"AIRFLOW_CONN_{name}='(.*?)'", TEXT, re.DOTALL)


@pytest.mark.parametrize("connection", connections("WASB_DEFAULT"))
def test_an_azure_connection_opens_the_account(connection, monkeypatch):
    fs = pytest.importorskip("airflow.providers.microsoft.azure.fs.adls")
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", connection)
    opened = fs.get_fs("wasb_default")
    assert opened.service_client.url == "https://account.blob.core.windows.net/"


def test_an_s3_connection_uses_the_endpoint_and_the_keys(monkeypatch):
    fs = pytest.importorskip("airflow.providers.amazon.aws.fs.s3")
    [with_keys] = [connection for connection in connections("AWS_DEFAULT") if "password" in connection]
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", with_keys)
    opened = fs.get_fs("aws_default")
    assert opened.endpoint_url == "https://s3.example.com"
    assert not opened.anon


def test_there_are_connections_for_each_authentication_method():
    assert (len(connections("WASB_DEFAULT")), len(connections("AWS_DEFAULT"))) == (3, 3)


def test_the_table_lists_each_extra():
    table = PAGE.read_text().partition("| store |")[2].partition("\n\n")[0]
    assert {extra for extra in EXTRAS if f"`{extra}`" in table} == set(EXTRAS)
