# SPDX-License-Identifier: Apache-2.0
"""The client of the Exports API: authentication, retries, rate limits, paging.

It promises that the key goes to the API's own host alone, that what may pass is tried again within a bound,
and that a creation is never sent twice by itself.
"""

from __future__ import annotations

import logging
import random as random_module
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow_provider_connectif.api.credentials import DEFAULT_BASE_URL, KeyForOneHost, is_loopback
from airflow_provider_connectif.api.errors import (
    ApiError,
    ConnectionProblem,
    CreationUnknown,
    InvalidArgument,
    RateLimited,
    ServerError,
    Unavailable,
    UnexpectedResponse,
)
from airflow_provider_connectif.api.export_request import ExportRequest
from airflow_provider_connectif.api.filters import ExportFilter
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.rate_limit import RateLimit, parse_wait
from airflow_provider_connectif.api.responses import decode, error_of

if TYPE_CHECKING:
    from requests import Response, Session
    from tenacity import RetryCallState

log = logging.getLogger(__name__)

DEFAULT_TIMEOUT = 30.0
DEFAULT_PAGE_SIZE = 50

# A page without a new id is no end, since pages shift while they are read; that many in a row are one.
_MOST_PAGES_WITHOUT_NEWS = 100


@dataclass(frozen=True)
class RetryPolicy:
    """How long a request is tried again.

    :param attempts: tries of a request that a server error or a broken connection ends.
    :param seconds: from the first try; what the rate limit asks to wait counts as well.
    :param longest_wait: seconds between two tries, where the API does not ask for more.
    """

    attempts: int = 6
    seconds: float = 600.0
    longest_wait: float = 30.0


class ConnectifClient:
    """Calls the Exports API.

    One instance serves one thread at a time. It keeps its connections open: :meth:`close` it, or use it in
    ``with``.

    :param key: ``keyId:keySecret``, as :func:`~airflow_provider_connectif.api.credentials.tidy_key` gives it.
    :param base_url: as :func:`~airflow_provider_connectif.api.credentials.tidy_base_url` gives it.
    :param timeout: seconds to connect, and to wait for each piece of an answer.
    :param patience: how long a request is tried again.
    :param user_agent: what the API sees as the client.
    :param session: the ``requests`` session; None for one of its own.
    :param clock: epoch seconds.
    :param sleep: takes seconds.
    :param random: a number from 0 to 1, for the jitter of waits.
    """

    def __init__(
        self,
        key: str,
        base_url: str = DEFAULT_BASE_URL,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        patience: RetryPolicy | None = None,
        user_agent: str = "airflow-provider-connectif",
        session: Session | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self.base_url = base_url
        self._auth = KeyForOneHost(key, base_url)
        self.timeout = timeout
        # A proxy cannot reach this machine's own addresses, and would see a key that travels unencrypted.
        host = urlsplit(base_url).hostname or ""
        self._proxies = {"no_proxy": host} if is_loopback(host) else {}
        self._patience = patience or RetryPolicy()
        self._user_agent = user_agent
        self._session = session
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._rate_limit = RateLimit(clock=clock, random=random)

    def __enter__(self) -> ConnectifClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The client can still be used: it opens new ones."""
        if self._session is not None:
            self._session.close()

    def list_exports(
        self, export_filter: ExportFilter | None = None, *, page_size: int = DEFAULT_PAGE_SIZE
    ) -> Iterator[Export]:
        """Iterate over the list of exports, each export once, requesting pages as they are needed.

        The API documents neither filters nor an order: every page is read, and the filter is applied here.

        :param export_filter: only exports that it matches
        :param page_size: exports per request
        :raises ApiError: a request failed; the exports of earlier pages have been yielded
        """
        exports = self._every_export(page_size)
        yield from exports if export_filter is None else filter(export_filter.matches, exports)

    def list_pages(self, *, page_size: int = DEFAULT_PAGE_SIZE) -> Iterator[list[Export]]:
        """Walk the list of exports, a page for each request, with whatever it repeats.

        :param page_size: exports asked for at once.
        :raises ApiError: by kind.
        """
        address = f"{self.base_url}/exports"
        params: Mapping[str, Any] | None = {"page": 1, "pageSize": page_size}
        visited: set[str] = set()
        while True:
            response = self._get(address, params=params, what="the list of exports")
            here = response.url or address
            visited.update((here, address))
            body = decode(response)
            if not isinstance(body, Mapping) or not isinstance(body.get("results"), list):
                raise UnexpectedResponse("The API's list of exports has no results. Check the connection's Host.")
            yield [Export.from_json(item) for item in body["results"]]
            links = body.get("links")
            link = links.get("next") if isinstance(links, Mapping) else None
            if not link:
                return
            if not isinstance(link, str):
                raise UnexpectedResponse("The API's list of exports has a link that is no text.")
            address, params = self._auth.follow(link, current=here), None
            if address in visited:
                log.warning("The API's list of exports leads back to a page that was read: it is taken as ended.")
                return

    def get_export(self, export_id: str) -> Export:
        """Read one export; its ``file_url``, where there is one, is fresh.

        :param export_id: the export's id.
        :raises InvalidArgument: where it is empty, or would lead to another address.
        :raises NotFound: where there is no such export.
        :raises ApiError: by kind.
        """
        if not export_id.strip(". "):
            raise InvalidArgument("export_id", f"{export_id!r} is no export's identifier.")
        address = f"{self.base_url}/exports/{quote(export_id, safe='')}"
        return Export.from_json(decode(self._get(address, what=f"export {export_id}")))

    def send_creation(self, request: ExportRequest) -> Export:
        """Send a creation **once**.

        :func:`~airflow_provider_connectif.api.creation.create_once` is the safe way to create.

        :param request: what to create.
        :raises Refused: where the API surely created nothing and never will.
        :raises RateLimited: where it surely created nothing, and may on another try.
        :raises ConnectionProblem: with ``sent=False``, where nothing was sent.
        :raises CreationUnknown: where an export may or may not have been created.
        """
        self.keep_pace()
        try:
            response = self._send("POST", f"{self.base_url}{request.path}", json=request.body())
            if response.status_code // 100 != 2:
                raise self._error_of(response, what="a new export", scope="write")
            return Export.from_json(decode(response))
        except ConnectionProblem as problem:
            if not problem.sent:
                raise
            raise CreationUnknown(f"A new export was asked for, and no answer came. {problem}") from None
        except ServerError as problem:
            raise CreationUnknown(f"A new export was asked for. {problem}") from None
        except UnexpectedResponse as problem:
            raise CreationUnknown(f"A new export was asked for, and the answer cannot be read. {problem}") from None

    def server_now(self) -> datetime:
        """The moment by the API's clock, as its last answer told it, to a second."""
        return self._rate_limit.server_now()

    def _every_export(self, page_size: int) -> Iterator[Export]:
        seen: set[str] = set()
        without_news = 0
        for page in self.list_pages(page_size=page_size):
            known = len(seen)
            for export in page:
                if export.id not in seen:
                    seen.add(export.id)
                    yield export
            without_news = without_news + 1 if len(seen) == known else 0
            if without_news >= _MOST_PAGES_WITHOUT_NEWS:
                raise UnexpectedResponse(
                    f"The API's list of exports does not end: {without_news} pages in a row held nothing new."
                )

    def _get(self, address: str, *, what: str, params: Mapping[str, Any] | None = None) -> Response:
        import tenacity

        deadline = self._clock() + self._patience.seconds

        def attempt() -> Response:
            self.keep_pace()
            response = self._send("GET", address, params=params)
            if response.status_code // 100 != 2:
                raise self._error_of(response, what=what, scope="read")
            return response

        def is_out_of_patience(state: RetryCallState) -> bool:
            if self._clock() + state.upcoming_sleep > deadline:
                return True
            return not isinstance(_problem(state), RateLimited) and (state.attempt_number >= self._patience.attempts)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Unavailable),
            stop=is_out_of_patience,
            wait=lambda state: self.wait_before_retry(_problem(state), state.attempt_number),
            sleep=self._sleep,
            before_sleep=_log_retry,
            reraise=True,
        )
        return retrying(attempt)

    def _send(self, method: str, address: str, **arguments: Any) -> Response:
        import requests

        if self._session is None:
            self._session = requests.Session()
            self._session.headers["User-Agent"] = self._user_agent
            self._session.headers["Accept"] = "application/json"
        try:
            response = self._session.request(
                method,
                address,
                auth=self._auth,
                timeout=self.timeout,
                proxies=dict(self._proxies),
                # A redirect would take the key along; the API documents none.
                allow_redirects=False,
                **arguments,
            )
        # "from None": the text of requests' own errors holds what was sent.
        except requests.ConnectTimeout:
            raise ConnectionProblem(f"Could not connect to {self.base_url} in time.", sent=False) from None
        except requests.Timeout:
            raise ConnectionProblem(f"No answer from {self.base_url} within {self.timeout:g} s.") from None
        except requests.ConnectionError as problem:
            raise ConnectionProblem(
                f"No connection to {self.base_url}: {_short(problem)}.", sent=not _never_left(problem)
            ) from None
        # ValueError: requests reads where a redirect leads, though it does not follow it.
        except (requests.RequestException, ValueError) as problem:
            raise ConnectionProblem(f"The exchange with {self.base_url} broke: {_short(problem)}.") from None
        self._rate_limit.observe(response.headers, limited=response.status_code == 429)
        return response

    def _error_of(self, response: Response, *, what: str, scope: str) -> ApiError:
        asked = parse_wait(response.headers, now=self._clock(), limited=response.status_code == 429)
        return error_of(response, what=what, scope=scope, asked_wait=asked)

    def keep_pace(self) -> None:
        """Wait until the API's rate limit allows the next request; every request does this by itself.

        :raises RateLimited: where that takes longer than the patience.
        """
        delay = self._rate_limit.delay()
        if delay > self._patience.seconds:
            raise RateLimited(
                f"The API's rate limit is reached; it asked to wait {delay:.0f} s more.", retry_after=delay
            )
        if delay > 0:
            log.debug("Waiting %.1f s for the API's rate limit.", delay)
            self._sleep(delay)

    def wait_before_retry(self, problem: BaseException | None, attempt: int) -> float:
        """Seconds to wait after a failed try: what the API asks for, spread, or else longer with each try.

        :param problem: what ended the try.
        :param attempt: how many tries there were, from 1.
        """
        asked = getattr(problem, "retry_after", None)
        growing = min(2.0 ** (attempt - 1), self._patience.longest_wait)
        if asked is not None:
            # Many tasks that were told the same moment must not all come back in it.
            return float(asked) + growing * self._random()
        return growing * (0.5 + self._random() / 2)


def _problem(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _log_retry(state: RetryCallState) -> None:
    problem = _problem(state)
    level = logging.INFO if isinstance(problem, RateLimited) else logging.WARNING
    log.log(level, "%s Trying again in %.1f s.", problem, state.upcoming_sleep)


def _short(problem: BaseException) -> str:
    """Name the innermost cause, without the texts of requests and urllib3, which hold addresses."""
    names = [type(problem).__name__]
    cause: BaseException | None = problem
    while cause is not None:
        inner = cause.__cause__ or cause.__context__ or getattr(cause, "reason", None)
        if inner is None and cause.args and isinstance(cause.args[0], BaseException):
            inner = cause.args[0]
        if isinstance(inner, OSError) and inner.strerror and not hasattr(inner, "request"):
            return inner.strerror
        cause = inner if isinstance(inner, BaseException) else None
        if cause is not None:
            names.append(type(cause).__name__)
    return names[-1]


def _never_left(problem: BaseException) -> bool:
    """Tell whether no connection was made at all, so that nothing can have been received."""
    from urllib3.exceptions import NewConnectionError

    inner = problem.args[0] if problem.args else None
    reason = getattr(inner, "reason", inner)
    return isinstance(reason, NewConnectionError)
