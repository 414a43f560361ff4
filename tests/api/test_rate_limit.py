# SPDX-License-Identifier: Apache-2.0
"""Promise 8: the wait that the API asks for is parsed from each kind of header, limited, and respected."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import format_datetime

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_provider_connectif.api.rate_limit import JITTER, RateLimit, requested_wait

NOW = 1_793_500_000


def http_date(epoch: float) -> str:
    return format_datetime(datetime.fromtimestamp(epoch, tz=timezone.utc), usegmt=True)


def wait_for(headers, *, limited=True, now=float(NOW)):
    return requested_wait(CaseInsensitiveDict(headers), now=now, limited=limited)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "12"}, 12),
        ({"retry-after": " 12 "}, 12),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": http_date(NOW + 90)}, 90),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "7"}, 7),
        ({"RateLimit-Reset": "7"}, 7),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(NOW + 33)}, 33),
        ({"X-RateLimit-Reset": str(NOW + 33)}, 33),
        ({"X-RateLimit-Reset": "33"}, 33),
        ({"Retry-After": "3", "RateLimit-Reset": "7", "X-RateLimit-Reset": str(NOW + 33)}, 3),
        ({"Retry-After": "soon", "RateLimit-Reset": "7"}, 7),
        ({"RateLimit-Remaining": "4", "RateLimit-Reset": "7"}, 7),
    ],
)
def test_each_kind_of_header_of_a_429_is_parsed(headers, seconds):
    assert wait_for(headers) == seconds


@pytest.mark.parametrize(
    "headers", [{}, {"Retry-After": "soon"}, {"RateLimit-Limit": "10"}, {"RateLimit-Reset": "nan"}]
)
def test_headers_without_a_wait_are_none(headers):
    assert wait_for(headers) is None


@pytest.mark.parametrize("skew", [-7 * 3600, 7 * 3600])
def test_dates_are_relative_to_the_servers_clock_however_wrong_ours_is(skew):
    date = {"Date": http_date(NOW)}
    assert wait_for({**date, "Retry-After": http_date(NOW + 90)}, now=NOW + skew) == 90
    assert wait_for({**date, "X-RateLimit-Reset": str(NOW + 90)}, now=NOW + skew) == 90


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": str(NOW + 33)}, 33),
        ({"RateLimit-Reset": str(NOW + 33)}, 33),
        ({"Retry-After": str(NOW * 1000 + 2500)}, 2.5),
        ({"X-RateLimit-Reset": str(NOW * 1000 + 2500)}, 2.5),
        ({"RateLimit-Reset": str(NOW * 1000 - 2500)}, 0),
        ({"X-RateLimit-Reset": str(NOW - 5)}, 0),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": http_date(NOW - 500)}, 0),
    ],
)
def test_epochs_and_milliseconds_are_accepted_in_every_header(headers, seconds):
    assert wait_for(headers) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "1e300"}, None),
        ({"Retry-After": "99999999999"}, None),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, None),
        ({"Retry-After": "100000"}, None),
        ({"RateLimit-Reset": "100000"}, None),
        ({"X-RateLimit-Reset": "100000"}, 100),
        ({"Retry-After": "100000", "RateLimit-Reset": "7"}, 7),
        ({"Retry-After": "1e300", "RateLimit-Reset": "7"}, 7),
        ({"RateLimit-Reset": "inf", "X-RateLimit-Reset": "5"}, 5),
    ],
)
def test_implausible_values_are_ignored(headers, seconds):
    assert wait_for(headers) == seconds


class TestRateLimit:
    @pytest.fixture
    def now(self):
        return [float(NOW)]

    @pytest.fixture
    def rate_limit(self, now):
        return RateLimit(clock=lambda: now[0], monotonic=lambda: now[0], random=lambda: 0.0)

    def test_there_is_no_delay_at_first(self, rate_limit):
        assert rate_limit.delay() == 0

    def test_a_successful_response_with_nothing_remaining_delays_the_next_request(self, rate_limit, now):
        rate_limit.observe(CaseInsensitiveDict({"RateLimit-Remaining": "0", "RateLimit-Reset": "10"}))
        assert rate_limit.delay() == 10
        now[0] += 4
        assert rate_limit.delay() == 6
        now[0] += 7
        assert rate_limit.delay() == 0

    def test_a_successful_response_with_something_remaining_does_not(self, rate_limit):
        rate_limit.observe(CaseInsensitiveDict({"RateLimit-Remaining": "1", "RateLimit-Reset": "10"}))
        rate_limit.observe(CaseInsensitiveDict({"RateLimit-Reset": "10"}))
        assert rate_limit.delay() == 0

    def test_a_later_response_does_not_shorten_the_wait(self, rate_limit):
        rate_limit.observe(CaseInsensitiveDict({"Retry-After": "10"}), limited=True)
        rate_limit.observe(CaseInsensitiveDict({"Retry-After": "2"}), limited=True)
        assert rate_limit.delay() == 10

    def test_jitter_lengthens_waits_and_never_shortens_them(self):
        for chance in (0.0, 0.5, 1.0):
            rate_limit = RateLimit(clock=lambda: float(NOW), monotonic=lambda: 5.0, random=lambda chance=chance: chance)
            rate_limit.observe(CaseInsensitiveDict({"Retry-After": "100"}), limited=True)
            assert rate_limit.delay() == 100 * (1 + JITTER * chance)

    @pytest.mark.parametrize("change", [-3600, 3600])
    def test_a_change_of_the_wall_clock_does_not_change_a_wait(self, change):
        wall, monotonic = [float(NOW)], [5.0]
        rate_limit = RateLimit(clock=lambda: wall[0], monotonic=lambda: monotonic[0], random=lambda: 0.0)
        rate_limit.observe(CaseInsensitiveDict({"Date": http_date(NOW), "Retry-After": "10"}), limited=True)
        wall[0] += change
        monotonic[0] += 4
        assert rate_limit.delay() == 6
        assert rate_limit.server_now().timestamp() == NOW + 4

    def test_an_epoch_without_a_date_is_compared_with_the_last_date(self, rate_limit):
        rate_limit.observe(CaseInsensitiveDict({"Date": http_date(NOW - 3600)}))
        rate_limit.observe(CaseInsensitiveDict({"X-RateLimit-Reset": str(NOW - 3590)}), limited=True)
        assert rate_limit.delay() == 10

    def test_the_servers_time_is_derived_from_its_last_date(self, rate_limit, now):
        rate_limit.observe(CaseInsensitiveDict({"Date": http_date(NOW - 3600)}))
        now[0] += 5
        assert rate_limit.server_now().timestamp() == NOW - 3600 + 5

    def test_without_a_date_the_servers_time_is_ours(self, rate_limit):
        rate_limit.observe(CaseInsensitiveDict({"Date": "sometime"}))
        assert rate_limit.server_now().timestamp() == NOW
