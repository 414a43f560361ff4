# SPDX-License-Identifier: Apache-2.0
"""docs/storage.md: Airflow opens each store with its connection; checked offline."""

from __future__ import annotations

import json
import re

import pytest

from airflow_provider_connectif.files.stores.resolve import resolve_store
from airflow_provider_connectif.tasks.stores import EXTRAS
from tests.docs.pages import ROOT, blocks
from tests.stores import S3_KEY, S3_SECRET

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
    with_keys = next(connection for connection in connections("AWS_DEFAULT") if "password" in connection)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", with_keys)
    opened = fs.get_fs("aws_default")
    assert opened.endpoint_url == "https://s3.example.com"
    assert not opened.anon


def test_an_s3_connection_turns_checksums_off(monkeypatch):
    fs = pytest.importorskip("airflow.providers.amazon.aws.fs.s3")
    [without] = [connection for connection in connections("AWS_DEFAULT") if "config_kwargs" in connection]
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", without)
    config = fs.get_fs("aws_default").s3.meta.config
    assert (config.request_checksum_calculation, config.response_checksum_validation) == ("when_required",) * 2


def test_every_object_is_encrypted_with_the_setting_of_the_page(moto_server, monkeypatch):
    import fsspec.config

    fs = pytest.importorskip("airflow.providers.amazon.aws.fs.s3")
    [setting] = re.findall(r"^export FSSPEC_S3='(.*?)'$", TEXT, re.MULTILINE)
    settings = {}
    fsspec.config.set_conf_env(settings, {"FSSPEC_S3": setting})
    monkeypatch.setitem(fsspec.config.conf, "s3", settings["s3"])
    extra = {"endpoint_url": moto_server, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": S3_KEY, "password": S3_SECRET, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_ENCRYPTED", json.dumps(connection))
    opened = fs.get_fs("encrypted")
    opened.call_s3("create_bucket", Bucket="encrypted")
    store = resolve_store(opened, "encrypted/folder")
    store.put("manifest", b"{}")
    for name, size in (("small", 10), ("parts", 12 * 2**20)):
        with store.stage(name, size) as staged:
            staged.write(bytes(size))
            staged.complete()
            staged.publish()
    for name in ("manifest", "small", "parts"):
        found = opened.call_s3("head_object", Bucket="encrypted", Key=f"folder/{name}")
        assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", "alias/lake"), name


def test_there_are_connections_for_each_authentication_method():
    assert (len(connections("WASB_DEFAULT")), len(connections("AWS_DEFAULT"))) == (3, 4)


def test_the_table_lists_each_extra():
    table = PAGE.read_text().partition("| store |")[2].partition("\n\n")[0]
    assert {extra for extra in EXTRAS if f"`{extra}`" in table} == set(EXTRAS)
