# SPDX-License-Identifier: Apache-2.0
"""Which S3 stores honour conditional requests."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.files.stores import s3_conditions
from airflow_provider_connectif.files.stores.s3 import S3Store
from tests.faults import Faults, run_proxy
from tests.stores import Place, filesystem, s3_options


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_conditions, "_known", {})


def anonymous_store(**options: object) -> S3Store:
    return S3Store(filesystem("s3", {"anon": True, **options}), "lake/x")


@pytest.mark.parametrize("endpoint", [None, "https://s3.eu-west-1.amazonaws.com"])
def test_amazons_own_s3_honours_them_without_being_asked(endpoint: str | None) -> None:
    assert anonymous_store(endpoint_url=endpoint).conditional_writes


def test_a_store_whose_endpoint_is_in_the_environment_is_not_taken_for_amazons(
    s3_store: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_store.options["endpoint_url"])
    options = {name: value for name, value in s3_store.options.items() if name != "endpoint_url"}
    assert not s3_store.with_filesystem(filesystem("s3", options)).store().conditional_writes


def test_a_store_whose_endpoint_is_in_a_profile_is_not_taken_for_amazons(
    s3_store: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(f"[profile lake]\nregion = us-east-1\nendpoint_url = {s3_store.options['endpoint_url']}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    options = {"key": s3_store.options["key"], "secret": s3_store.options["secret"], "profile": "lake"}
    assert not s3_store.with_filesystem(filesystem("s3", options)).store().conditional_writes


def test_a_store_is_tried_with_few_requests_once_in_a_process(moto_store: Place, s3_store: Place) -> None:
    for place, requests in ((moto_store, 4), (s3_store, 2)):
        faults = Faults()
        with run_proxy(place.options["endpoint_url"], faults) as url:
            through_proxy = place.with_filesystem(filesystem("s3", s3_options(url)))
            answers = {through_proxy.store().conditional_writes for _ in range(3)}
        assert answers == {place is moto_store}
        assert len(faults.seen) == requests
        assert place.names() == set()


def test_a_store_that_does_not_implement_conditions_is_used_without(moto_store: Place) -> None:
    faults = Faults()
    faults.rule = lambda request: "not implemented" if "if-match" in request.headers else None
    with run_proxy(moto_store.options["endpoint_url"], faults) as url:
        assert not moto_store.with_filesystem(filesystem("s3", s3_options(url))).store().conditional_writes


def test_a_store_that_is_down_is_neither(moto_store: Place) -> None:
    faults = Faults()
    faults.fail("PUT")
    with run_proxy(moto_store.options["endpoint_url"], faults) as url:
        store = moto_store.with_filesystem(filesystem("s3", s3_options(url))).store()
        with pytest.raises(DestinationError, match="honours conditional requests"):
            _ = store.conditional_writes
        faults.clear()
        assert store.conditional_writes


def test_a_lost_response_while_finding_out_is_not_an_error(moto_store: Place) -> None:
    faults = Faults()
    with run_proxy(moto_store.options["endpoint_url"], faults) as url:
        fs = filesystem("s3", {**moto_store.options, "endpoint_url": url})
        # The first request is refused, the second one creates the object.
        faults.fail(r"^PUT .*\.connectif", nth=2, fault="lose response", once=True)
        assert moto_store.with_filesystem(fs).store().conditional_writes
    assert faults.hits == 1
    assert moto_store.names() == set()
