# SPDX-License-Identifier: Apache-2.0
"""How many requests a small export takes: at most 12 into an empty S3 folder, at most 3 into a complete one."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.files.folder.lease import Timing
from airflow_provider_connectif.files.stores import s3_conditions
from tests.faults import Faults, run_proxy
from tests.files.exports import Clock, deliver_to, export, writer
from tests.stores import Place, filesystem


@pytest.mark.parametrize("kind", ["s3", "moto"])
def test_a_small_export_takes_few_requests_and_waits_only_where_the_store_ignores_conditions(
    request: pytest.FixtureRequest, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    # Nothing is known about the store, as in a new process.
    monkeypatch.setattr(s3_conditions, "_known", {})
    faults = Faults()
    with run_proxy(place.options["endpoint_url"], faults) as url:
        options = {**place.options, "endpoint_url": url}
        behind = Place("s3", place.uri, filesystem("s3", options), place.path, options)
        clock = Clock()
        started = clock.now
        described, archive = export()
        deliver_to(behind, described, archive, timing=Timing(monotonic=clock, sleep=clock.sleep))
        assert len(faults.seen) <= 12, faults.seen
        assert clock.now - started == (0.0 if behind.store().conditional_writes else 2.0)

        faults.seen.clear()
        deliver_to(behind, described, archive, by=writer(run_id="tuesday"))
        assert archive.opened == 1
        assert len(faults.seen) <= 3, faults.seen
