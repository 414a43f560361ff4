# SPDX-License-Identifier: Apache-2.0
"""A poll for many exports takes about `min(exports, pages of the list)` requests."""

from __future__ import annotations

import random
import re
from datetime import datetime, timezone

import pytest

from airflow_provider_connectif.api.errors import AuthenticationFailed, NotFound, PermissionDenied, ServerError
from airflow_provider_connectif.api.filters import ExportFilter
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.polling.poll import (
    MAX_CONSECUTIVE_FAILURES,
    IdPoll,
    IdReader,
    ListPoll,
    NewestReader,
    run_poll,
)
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
            return found[0] if found else {"status": 404, "title": "Not found"}

        requests_mock.get(f"{BASE}/exports", json=respond_with_page)
        requests_mock.get(re.compile(f"{BASE}/exports/.+"), json=respond_with_export)
        return requests_mock

    return serve


class Result:
    """What polls for ids and filters have found."""

    def __init__(self, ids, filters):
        self.ids = IdReader(ids)
        self.exports = self.ids.found
        self.readers = {export_filter: NewestReader(export_filter) for export_filter in filters}

    @property
    def newest(self):
        assert all(reader.is_result for reader in self.readers.values())
        return {export_filter: reader.newest for export_filter, reader in self.readers.items()}


def poll(client, ids, filters=()):
    result = Result(ids, filters)
    run_poll(IdPoll([result.ids], shuffle=list.reverse), client)
    if filters:
        run_poll(ListPoll(list(result.readers.values())), client)
    return result


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
        result = poll(client, ids)
        assert sorted(result.exports) == sorted(ids)
        assert all(isinstance(found, Export) and found.id == id_ for id_, found in result.exports.items())
        assert api.call_count == requests

    def test_read_the_whole_list_while_its_pages_are_useful(self, client, listed):
        """That the last pages are more than the exports they contain does not matter."""
        api = listed(many(5001))
        assert len(poll(client, [f"e{number}" for number in range(1, 5001)]).exports) == 5000
        assert api.call_count == 101

    def test_for_a_deleted_export_among_many_are_two_more(self, client, listed):
        api = listed(many(5000))
        result = poll(client, [*(f"e{number}" for number in range(1000)), "gone"])
        assert isinstance(result.exports["gone"], NotFound)
        assert api.call_count == 20 + 1 + 1

    @pytest.mark.parametrize("count", [3, 5, 10])
    def test_for_a_few_exports_at_the_end_of_a_long_list_are_at_most_twice_as_many(self, client, listed, count):
        api = listed(many(5000))
        result = poll(client, [f"e{4999 - number}" for number in range(count)])
        assert len(result.exports) == count
        assert api.call_count <= 2 * count

    def test_are_not_repeated_for_repeated_ids(self, client, listed):
        api = listed(many(3))
        assert list(poll(client, ["e1", "e1", "e2", "e1"]).exports) == ["e1", "e2"]
        assert api.call_count == 2

    def test_are_the_same_for_one_reader_or_many(self, client, listed):
        api = listed(many(1000))
        readers = [IdReader([f"e{number}"]) for number in range(1000)]
        run_poll(IdPoll(readers), client)
        assert all(reader.done for reader in readers)
        assert api.call_count == 20

    def test_for_any_number_of_filters_read_the_list_once(self, client, listed):
        api = listed(many(150))
        filters = [ExportFilter(), ExportFilter(export_type="contacts"), ExportFilter(origin="app")]
        assert list(poll(client, [], filters).newest) == filters
        assert api.call_count == 3


class TestMissingExports:
    @pytest.mark.parametrize("others", [[], ["e1", "e2", "e3"]])
    def test_are_reported_without_affecting_others(self, client, listed, others):
        listed(many(10))
        result = poll(client, ["gone", *others]).exports
        assert isinstance(result["gone"], NotFound)
        assert "gone" in str(result["gone"])
        assert all(isinstance(result[id_], Export) for id_ in others)

    def test_are_found_by_id_if_they_exist(self, client, listed):
        api = listed(many(10))
        api.get(f"{BASE}/exports/hidden", json={"id": "hidden", "status": "finished"})
        assert poll(client, ["hidden", "e1", "e2", "e3"]).exports["hidden"].status == "finished"

    @pytest.mark.parametrize(("status", "kind"), [(403, PermissionDenied), (503, ServerError)])
    def test_any_other_error_is_reported_too(self, client, listed, status, kind):
        api = listed(many(10))
        api.get(f"{BASE}/exports/hidden", status_code=status, json={"status": status, "title": "No"})
        result = poll(client, ["hidden", "e1", "e2", "e3"])
        assert isinstance(result.exports["hidden"], kind)
        assert all(isinstance(result.exports[id_], Export) for id_ in ("e1", "e2", "e3"))


class TestPageThatCannotBeRead:
    """What other requests showed is used."""

    @pytest.fixture
    def broken(self, listed):
        """Break one page of the list, which has 20."""

        def break_page(number, status=500):
            api = listed(many(1000))
            body = {"status": status, "title": "No"}
            api.get(f"{BASE}/exports?page={number}", status_code=status, json=body)
            return api

        return break_page

    @pytest.mark.parametrize(("status", "number"), [(500, 1), (500, 2), (403, 2), (404, 20)])
    def test_is_replaced_by_requests_by_id(self, client, broken, status, number):
        broken(number, status)
        ids = [f"e{number}" for number in range(0, 1000, 10)]
        result = poll(client, ids)
        assert sorted(result.exports) == sorted(ids)
        assert all(isinstance(found, Export) for found in result.exports.values())

    def test_takes_at_most_two_requests_for_each_export(self, client, broken):
        api = broken(2)
        numbers = range(0, 1000, 10)
        poll(client, [f"e{number}" for number in numbers])
        attempts = len([request for request in api.request_history if request.qs.get("page") == ["2"]])
        assert api.call_count - attempts == 1 + sum(1 for number in numbers if number >= 50)

    def test_does_not_hide_a_deleted_export(self, client, broken):
        broken(2)
        assert isinstance(poll(client, ["e1", "gone", "e60", "e70"]).exports["gone"], NotFound)

    def test_is_an_error_for_filters_which_need_the_whole_list(self, client, broken):
        broken(2)
        reader = NewestReader(ExportFilter())
        run_poll(ListPoll([reader]), client)
        assert not reader.is_result
        assert isinstance(reader.error, ServerError)

    @pytest.mark.parametrize("known_id", ["e3", "e999"], ids=["on an earlier page", "on another page"])
    def test_does_not_hide_the_newest_export_of_the_last_complete_list(self, client, broken, known_id):
        broken(2)
        export_filter = ExportFilter()
        reader = NewestReader(export_filter, known_id)
        other = NewestReader(ExportFilter(origin="app"), None)
        run_poll(ListPoll([reader, other]), client)
        assert reader.is_result == (known_id == "e999")  # e49, on page 1, is newer than e3
        assert not other.is_result

    def test_keeps_an_older_export_from_being_taken_for_the_newest(self, client, listed):
        api = listed([export(1, createdAt="2026-11-02T00:00:00Z"), export(2, createdAt="2026-11-04T00:00:00Z")], 1)
        reader = NewestReader(ExportFilter(), "e2")
        api.get(f"{BASE}/exports?page=2", status_code=500)
        api.get(f"{BASE}/exports/e2", status_code=500)
        run_poll(ListPoll([reader]), client)
        assert not reader.is_result


class TestApiThatIsDown:
    def test_is_asked_for_a_few_exports_only(self, client, requests_mock):
        requests_mock.get(re.compile(BASE), status_code=403, json={"status": 403, "title": "No"})
        readers = [IdReader([f"e{number}"]) for number in range(100)]
        run_poll(IdPoll(readers), client)
        assert requests_mock.call_count == 1 + MAX_CONSECUTIVE_FAILURES
        assert all(reader.error or reader.done for reader in readers)

    def test_is_asked_once_with_a_key_that_it_refuses(self, client, requests_mock):
        requests_mock.get(re.compile(BASE), status_code=401)
        reader, newest = IdReader(["e1", "e2", "e3"]), NewestReader(ExportFilter())
        run_poll(IdPoll([reader]), client)
        assert requests_mock.call_count == 1
        run_poll(ListPoll([newest]), client)
        assert requests_mock.call_count == 2
        assert isinstance(reader.error, AuthenticationFailed)
        assert isinstance(newest.error, AuthenticationFailed)

    def test_does_not_keep_others_from_being_read_in_a_later_poll(self, client, listed):
        """Five exports that cannot be read are not always the first that are asked for."""
        api = listed(many(20))
        api.get(f"{BASE}/exports?page=1", status_code=403, json={"status": 403, "title": "No"})
        api.get(re.compile(f"{BASE}/exports/e1."), status_code=403, json={"status": 403, "title": "No"})
        chance, found = random.Random(1), set()
        for _ in range(50):
            reader = IdReader([f"e{number}" for number in range(20)])
            run_poll(IdPoll([reader], shuffle=chance.shuffle), client)
            found |= {id_ for id_, each in reader.found.items() if isinstance(each, Export)}
        assert found == {f"e{number}" for number in range(10)}


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
        found = poll(client, [], [export_filter]).newest[export_filter]
        assert (found and found.id) == newest

    def test_finds_nothing_in_an_empty_list(self, client, listed):
        listed([])
        assert poll(client, [], [ExportFilter()]).newest == {ExportFilter(): None}
