# SPDX-License-Identifier: Apache-2.0
"""docs/storage.md: the connections that it shows open their store; what Airflow makes of them is looked at, offline."""

from __future__ import annotations

import re

import pytest

from airflow_provider_connectif.tasks.destination import EXTRAS
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs/storage.md"
TEXT = "\n".join(block.text for block in blocks("bash") if block.page == PAGE)


def connections(name):
    return re.findall(rf"AIRFLOW_CONN_{name}='(.*?)'", TEXT, re.DOTALL)


@pytest.mark.parametrize("connection", connections("WASB_DEFAULT"))
def test_a_connection_to_azure_leads_to_the_account(connection, monkeypatch):
    fs = pytest.importorskip("airflow.providers.microsoft.azure.fs.adls")
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", connection)
    opened = fs.get_fs("wasb_default")
    assert opened.service_client.url == "https://account.blob.core.windows.net/"


def test_a_connection_to_s3_leads_to_the_endpoint_with_the_keys(monkeypatch):
    fs = pytest.importorskip("airflow.providers.amazon.aws.fs.s3")
    [with_keys] = [each for each in connections("AWS_DEFAULT") if "password" in each]
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", with_keys)
    opened = fs.get_fs("aws_default")
    assert opened.endpoint_url == "https://s3.example.com"
    assert not opened.anon


def test_each_way_to_sign_in_is_looked_at():
    assert (len(connections("WASB_DEFAULT")), len(connections("AWS_DEFAULT"))) == (3, 3)


def test_the_table_has_each_extra():
    table = PAGE.read_text().partition("| store |")[2].partition("\n\n")[0]
    assert {extra for extra in EXTRAS if f"`{extra}`" in table} == set(EXTRAS)
