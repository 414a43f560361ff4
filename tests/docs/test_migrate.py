# SPDX-License-Identifier: Apache-2.0
"""docs/guides/migrate.md: both DAGs store the same rows, and a lost response shows the difference."""

from __future__ import annotations

import csv

import pytest

from tests.docs.conftest import LOST_RESPONSE

pytestmark = pytest.mark.system


def count_rows(folder):
    found = {}
    for path in folder.glob("2026-11-23/*.csv"):
        with path.open(encoding="utf-8-sig", newline="") as file:
            found["products" if path.stem.endswith("-products") else "activities"] = len(list(csv.reader(file)))
    return found


def test_both_store_the_same_rows(page_runs):
    by_hand, by_operator = count_rows(page_runs.lake / "by-hand"), count_rows(page_runs.lake / "by-operator")
    assert set(by_operator) == set(by_hand) == {"activities", "products"}
    assert by_operator["activities"] == by_hand["activities"] == 201


@pytest.mark.parametrize(("dag", "created"), [("purchases_by_hand", 2), ("purchases_by_operator", 1)])
def test_only_the_hand_written_task_creates_a_second_export_after_a_lost_response(page_runs, dag, created):
    assert page_runs.of(dag).created == 1
    lost = page_runs.of(dag, date="2026-11-23", fault=LOST_RESPONSE)
    assert lost.state == "success", lost.output[-3000:]
    assert lost.created == created
