# SPDX-License-Identifier: Apache-2.0
"""The hook's list of exports, long and in any order, and what is chosen from it."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.api.filters import ExportFilter, select
from airflow_provider_connectif.hooks.connectif import ConnectifHook
from tests.sample_exports import FAILED, PAGE_SIZE, PAGES, RUNNING, fill_the_list

REPORTS = ExportFilter(export_type="data-explorer", status="finished")
REPORTS_OF_ANY_STATUS = ExportFilter(export_type="data-explorer")


@pytest.mark.parametrize("order", ["newest", "oldest", "shuffled"])
def test_of_2000_exports_on_40_pages_the_right_17_are_chosen(sandbox, order):
    """Names that contain one another; one report's newest export failed, one's is running."""
    sandbox.set(order=order)
    wanted = fill_the_list(sandbox)
    chosen = select(ConnectifHook().list_exports(), REPORTS, latest_per="file_name")
    assert [export.id for export in chosen] == wanted
    assert len(wanted) == 17
    assert all(export.finished for export in chosen)
    assert sandbox.stats.by_route == {"GET /exports": PAGES}


def test_whose_newest_failed_or_runs_is_still_there_by_an_older_one(sandbox):
    wanted = fill_the_list(sandbox)
    of_any_status = select(ConnectifHook().list_exports(), REPORTS_OF_ANY_STATUS, latest_per="report_id")
    newest = {export.file_name or export.status for export in of_any_status if export.id not in wanted}
    assert len(of_any_status) == 17
    assert newest == {"error", "inProgress"}, (FAILED, RUNNING)


def test_the_list_is_read_page_by_page_as_it_is_chosen_from(sandbox):
    fill_the_list(sandbox)
    exports = ConnectifHook().list_exports()
    fitting = (export for export in exports if REPORTS.matches(export))
    for _ in range(PAGE_SIZE):
        next(fitting)
    assert sandbox.stats.by_route == {"GET /exports": 2}
