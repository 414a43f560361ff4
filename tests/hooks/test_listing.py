# SPDX-License-Identifier: Apache-2.0
"""Selecting from the hook's list of exports, which is long and in any order."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.api.filters import ExportFilter, select
from airflow_provider_connectif.hooks.connectif import ConnectifHook
from tests.sample_exports import FAILED, PAGE_SIZE, PAGES, RUNNING, fill_the_list

REPORTS = ExportFilter(export_type="data-explorer", status="finished")
REPORTS_OF_ANY_STATUS = ExportFilter(export_type="data-explorer")


@pytest.mark.parametrize("order", ["newest", "oldest", "shuffled"])
def test_the_right_17_of_2000_exports_on_40_pages_are_selected(sandbox, order):
    """Some names contain others; the newest export of one report failed, that of another is in progress."""
    sandbox.set(order=order)
    wanted = fill_the_list(sandbox)
    chosen = select(ConnectifHook().list_exports(), REPORTS, latest_per="file_name")
    assert [export.id for export in chosen] == wanted
    assert len(wanted) == 17
    assert all(export.finished for export in chosen)
    assert sandbox.stats.by_route == {"GET /exports": PAGES}


def test_a_report_whose_newest_export_is_not_finished_is_represented_by_an_older_one(sandbox):
    wanted = fill_the_list(sandbox)
    of_any_status = select(ConnectifHook().list_exports(), REPORTS_OF_ANY_STATUS, latest_per="report_id")
    newest = {export.file_name or export.status for export in of_any_status if export.id not in wanted}
    assert len(of_any_status) == 17
    assert newest == {"error", "inProgress"}, (FAILED, RUNNING)


def test_pages_are_read_only_as_the_selection_needs_them(sandbox):
    fill_the_list(sandbox)
    exports = ConnectifHook().list_exports()
    fitting = (export for export in exports if REPORTS.matches(export))
    for _ in range(PAGE_SIZE):
        next(fitting)
    assert sandbox.stats.by_route == {"GET /exports": 2}
