# SPDX-License-Identifier: Apache-2.0
"""Promise 8: what the API asks to wait is read from each style of headers, bounded, and kept."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import format_datetime

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_provider_connectif.api.rate_limit import JITTER, RateLimit, parse_wait

NOW = 1_793_500_000
DAY = 24 * 3600.0


def http_date(epoch: float) -> str:
    return format_datetime(datetime.fromtimestamp(epoch, tz=timezone.utc), usegmt=True)


def wait_of(headers, *, limited=True, now=float(NOW)):
    return parse_wait(CaseInsensitiveDict(headers), now=now, limited=limited)


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
def test_each_style_of_a_429_is_read(headers, seconds):
    assert wait_of(headers) == seconds


@pytest.mark.parametrize(
    "headers", [{}, {"Retry-After": "soon"}, {"RateLimit-Limit": "10"}, {"RateLimit-Reset": "nan"}]
)
def test_headers_that_do_not_say_are_none(headers):
    assert wait_of(headers) is None


@pytest.mark.parametrize("skew", [-7 * 3600, 7 * 3600])
def test_moments_are_the_servers_own_however_wrong_our_clock_is(skew):
    date = {"Date": http_date(NOW)}
    assert wait_of({**date, "Retry-After": http_date(NOW + 90)}, now=NOW + skew) == 90
    assert wait_of({**date, "X-RateLimit-Reset": str(NOW + 90)}, now=NOW + skew) == 90


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "1e300"}, DAY),
        ({"Retry-After": "99999999999"}, DAY),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": http_date(NOW - 500)}, 0),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, DAY),
        ({"RateLimit-Reset": "inf", "X-RateLimit-Reset": "5"}, 5),
        ({"X-RateLimit-Reset": str(NOW * 1000)}, DAY),
        ({"X-RateLimit-Reset": str(NOW - 5)}, 0),
    ],
)
def test_absurd_values_are_bounded(headers, seconds):
    assert wait_of(headers) == seconds


class TestRateLimit:
    @pytest.fixture
    def now(self):
        return [float(NOW)]

    @pytest.fixture
    def rate_limit(self, now):
        return RateLimit(clock=lambda: now[0], random=lambda: 0.0)

    def test_there_is_nothing_to_wait_for_at_first(self, rate_limit):
        assert rate_limit.delay() == 0

    def test_nothing_remaining_on_a_good_answer_delays_the_next_request(self, rate_limit, now):
        rate_limit.observe(CaseInsensitiveDict({"RateLimit-Remaining": "0", "RateLimit-Reset": "10"}))
        assert rate_limit.delay() == 10
        now[0] += 4
        assert rate_limit.delay() == 6
        now[0] += 7
        assert rate_limit.delay() == 0

    def test_something_remaining_on_a_good_answer_does_not(self, rate_limit):
        rate_limit.observe(CaseInsensitiveDict({"RateLimit-Remaining": "1", "RateLimit-Reset": "10"}))
        rate_limit.observe(CaseInsensitiveDict({"RateLimit-Reset": "10"}))
        assert rate_limit.delay() == 0

    def test_a_later_answer_does_not_shorten_the_wait(self, rate_limit):
        rate_limit.observe(CaseInsensitiveDict({"Retry-After": "10"}), limited=True)
        rate_limit.observe(CaseInsensitiveDict({"Retry-After": "2"}), limited=True)
        assert rate_limit.delay() == 10

    def test_waits_are_spread_by_jitter_and_never_shortened(self):
        for chance in (0.0, 0.5, 1.0):
            rate_limit = RateLimit(clock=lambda: float(NOW), random=lambda chance=chance: chance)
            rate_limit.observe(CaseInsensitiveDict({"Retry-After": "100"}), limited=True)
            assert rate_limit.delay() == 100 * (1 + JITTER * chance)

    def test_the_servers_moment_is_known_from_its_last_date(self, rate_limit, now):
        rate_limit.observe(CaseInsensitiveDict({"Date": http_date(NOW - 3600)}))
        now[0] += 5
        assert rate_limit.server_now().timestamp() == NOW - 3600 + 5

    def test_without_a_date_it_is_our_own(self, rate_limit):
        rate_limit.observe(CaseInsensitiveDict({"Date": "sometime"}))
        assert rate_limit.server_now().timestamp() == NOW
