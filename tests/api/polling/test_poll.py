# SPDX-License-Identifier: Apache-2.0
"""A poll for many exports takes about `min(exports, pages of the list)` requests."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest

from airflow_provider_connectif.api.errors import NotFound, PermissionDenied, ServerError
from airflow_provider_connectif.api.filters import ExportFilter
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.polling.poll import poll_exports
from tests.api.simulated_time import BASE


@pytest.fixture
def listed(requests_mock):
    """Serve a list of exports, and each of them by its id; any other id is a 404."""

    def serve(exports, page_size=50):
        pages = [exports[start : start + page_size] for start in range(0, len(exports), page_size)] or [[]]

        def respond_with_page(request, context):
            number = int(request.qs["page"][0])
            links = {"next": f"/exports?page={number + 1}"} if number < len(pages) else {}
            return {"links": links, "results": pages[number - 1]}

        def respond_with_export(request, context):
            export_id = request.path.rpartition("/")[2]
            found = [export for export in exports if export["id"] == export_id]
            context.status_code = 200 if found else 404
            return found[0] if found else {"title": "Not found"}

        requests_mock.get(f"{BASE}/exports", json=respond_with_page)
        requests_mock.get(re.compile(f"{BASE}/exports/.+"), json=respond_with_export)
        return requests_mock

    return serve


def export(number, **fields):
    return {"id": f"e{number}", "status": "queued", **fields}


def many(count):
    return [export(number) for number in range(count)]


class TestRequests:
    @pytest.mark.parametrize(
        ("numbers", "requests"),
        [
            pytest.param([], 0, id="nothing"),
            pytest.param([3], 1, id="one, by its id"),
            pytest.param([3, 900], 2, id="two, by their ids"),
            pytest.param(range(50), 1, id="fifty on the first page"),
            pytest.param(range(1000), 20, id="a thousand, on twenty pages"),
            pytest.param(range(0, 1000, 50), 20, id="one on each page"),
        ],
    )
    def test_are_as_few_as_possible(self, client, listed, numbers, requests):
        api = listed(many(1000))
        ids = [f"e{number}" for number in numbers]
        result = poll_exports(client, ids)
        assert sorted(result.exports) == sorted(ids)
        assert all(isinstance(found, Export) and found.id == id_ for id_, found in result.exports.items())
        assert api.call_count == requests

    def test_read_the_whole_list_while_its_pages_are_useful(self, client, listed):
        """That the last pages are more than the exports they contain does not matter."""
        api = listed(many(5001))
        assert len(poll_exports(client, [f"e{number}" for number in range(1, 5001)]).exports) == 5000
        assert api.call_count == 101

    def test_for_a_deleted_export_among_many_are_two_more(self, client, listed):
        api = listed(many(5000))
        result = poll_exports(client, [*(f"e{number}" for number in range(1000)), "gone"])
        assert isinstance(result.exports["gone"], NotFound)
        assert api.call_count == 20 + 1 + 1

    @pytest.mark.parametrize("count", [3, 5, 10])
    def test_for_a_few_exports_at_the_end_of_a_long_list_are_at_most_twice_as_many(self, client, listed, count):
        api = listed(many(5000))
        result = poll_exports(client, [f"e{4999 - number}" for number in range(count)])
        assert len(result.exports) == count
        assert api.call_count <= 2 * count

    def test_are_not_repeated_for_repeated_ids(self, client, listed):
        api = listed(many(3))
        assert list(poll_exports(client, ["e1", "e1", "e2", "e1"]).exports) == ["e1", "e2"]
        assert api.call_count == 2

    def test_for_a_filter_read_the_whole_list_once_and_find_ids_there(self, client, listed):
        api = listed(many(150))
        result = poll_exports(client, ["e1", "e70"], [ExportFilter(), ExportFilter(export_type="contacts")])
        assert set(result.exports) == {"e1", "e70"}
        assert api.call_count == 3


class TestMissingExports:
    @pytest.mark.parametrize("others", [[], ["e1", "e2", "e3"]])
    def test_are_reported_without_affecting_others(self, client, listed, others):
        listed(many(10))
        result = poll_exports(client, ["gone", *others]).exports
        assert isinstance(result["gone"], NotFound)
        assert "gone" in str(result["gone"])
        assert all(isinstance(result[id_], Export) for id_ in others)

    def test_are_found_by_id_if_they_exist(self, client, listed):
        api = listed(many(10))
        api.get(f"{BASE}/exports/hidden", json={"id": "hidden", "status": "finished"})
        assert poll_exports(client, ["hidden", "e1", "e2", "e3"]).exports["hidden"].status == "finished"

    @pytest.mark.parametrize(("status", "kind"), [(403, PermissionDenied), (503, ServerError)])
    def test_any_other_error_is_raised(self, client, requests_mock, status, kind):
        requests_mock.get(f"{BASE}/exports", status_code=status)
        with pytest.raises(kind):
            poll_exports(client, ["e1", "e2", "e3"])


class TestFilter:
    exports = [
        export(
            1, exportType="data-explorer", origin="app", createdAt="2026-11-02T00:00:00Z", filters={"reportId": "r1"}
        ),
        export(
            2, exportType="data-explorer", origin="app", createdAt="2026-11-04T00:00:00Z", filters={"reportId": "r1"}
        ),
        export(
            3, exportType="data-explorer", origin="api", createdAt="2026-11-05T00:00:00Z", filters={"reportId": "r1"}
        ),
        export(
            4, exportType="data-explorer", origin="app", createdAt="2026-11-06T00:00:00Z", filters={"reportId": "r2"}
        ),
        export(5, exportType="contacts", origin="app", createdAt="2026-11-03T00:00:00Z", filters={"segmentId": "s1"}),
        export(6, exportType="contacts", origin="app", filters={"segmentId": "s1"}),
        export(7, exportType="contacts", createdAt="2026-11-07T00:00:00Z"),
    ]

    @pytest.mark.parametrize("reverse", [False, True], ids=["oldest first", "newest first"])
    @pytest.mark.parametrize(
        ("export_filter", "newest"),
        [
            (ExportFilter(), "e7"),
            (ExportFilter(export_type="data-explorer"), "e4"),
            (ExportFilter(report_id="r1"), "e3"),
            (ExportFilter(report_id="r1", origin="app"), "e2"),
            (ExportFilter(report_id="r1", origin="APP"), "e2"),
            (ExportFilter(segment_id="s1"), "e5"),
            (ExportFilter(segment_id="s1", created_after=datetime(2026, 11, 3, tzinfo=timezone.utc)), None),
            (ExportFilter(created_after=datetime(2026, 11, 7, tzinfo=timezone.utc)), None),
            (ExportFilter(report_id="r9"), None),
        ],
        ids=str,
    )
    def test_finds_the_newest_matching_export_in_any_order(self, client, listed, export_filter, newest, reverse):
        listed(self.exports[::-1] if reverse else self.exports, page_size=2)
        found = poll_exports(client, [], [export_filter]).newest[export_filter]
        assert (found and found.id) == newest

    def test_finds_nothing_in_an_empty_list(self, client, listed):
        listed([])
        assert poll_exports(client, [], [ExportFilter()]).newest == {ExportFilter(): None}
