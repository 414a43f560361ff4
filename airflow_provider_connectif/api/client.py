# SPDX-License-Identifier: Apache-2.0
"""The client of the Exports API: authentication, retries, rate limits, pagination.

It guarantees that the API key is sent to the API's own host only, that failures that may pass are retried within a
limit, and that it never sends the request that creates an export twice.
"""

from __future__ import annotations

import logging
import random as random_module
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

from airflow_provider_connectif.api.connection_problems import error_from_exception, name_connection
from airflow_provider_connectif.api.credentials import DEFAULT_BASE_URL, ApiKeyAuth, is_loopback
from airflow_provider_connectif.api.errors import (
    ApiError,
    ConnectionProblem,
    CreationOutcomeUnknown,
    InvalidArgument,
    InvalidConnection,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServerError,
    Unavailable,
    UnexpectedResponse,
)
from airflow_provider_connectif.api.export_pages import DEFAULT_PAGE_SIZE, ExportPages, ListPage
from airflow_provider_connectif.api.export_request import ExportRequest
from airflow_provider_connectif.api.filters import ExportFilter
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.rate_limit import RateLimit
from airflow_provider_connectif.api.refusals import RefusalPolicy, Refusals
from airflow_provider_connectif.api.responses import decode_json, error_from_response

if TYPE_CHECKING:
    from requests import Response, Session
    from tenacity import RetryCallState

log = logging.getLogger(__name__)

_T = TypeVar("_T")

DEFAULT_TIMEOUT = 30.0


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long a request is retried.

    :param attempts: maximum number of attempts that end with a server error or a broken connection
    :param seconds: maximum duration from the first attempt, including waits for the rate limit
    :param max_wait: maximum number of seconds between two attempts, unless the API asks for more
    """

    attempts: int = 6
    seconds: float = 600.0
    max_wait: float = 30.0


class ConnectifClient:
    """A client of the Exports API.

    An instance can be used by one thread at a time. It keeps connections open: call :meth:`close`, or use it in a
    ``with`` statement.

    :param key: ``keyId:keySecret``, as :func:`~airflow_provider_connectif.api.credentials.normalize_api_key` returns it
    :param base_url: as :func:`~airflow_provider_connectif.api.credentials.normalize_base_url` returns it
    :param timeout: seconds to wait for a connection, and for each part of a response
    :param retry_policy: how requests are retried
    :param user_agent: the value of the ``User-Agent`` header
    :param name: the id of the Airflow connection, which errors then name
    :param session: the ``requests`` session; ``None`` creates one
    :param refusal_policy: how long the API must repeat that an export does not exist
    :param clock: returns epoch seconds, which are compared with the API's
    :param monotonic: returns monotonic seconds, by which waiting is measured
    :param sleep: sleeps for a number of seconds
    :param random: returns a number from 0 to 1, for the jitter of waits
    """

    def __init__(
        self,
        key: str,
        base_url: str = DEFAULT_BASE_URL,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry_policy: RetryPolicy | None = None,
        user_agent: str = "airflow-provider-connectif",
        name: str | None = None,
        session: Session | None = None,
        refusal_policy: RefusalPolicy | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self.base_url = base_url
        self._name = name
        self._auth = ApiKeyAuth(key, base_url)
        self.timeout = timeout
        # A proxy cannot reach this machine's own addresses, and would see a key that is sent unencrypted.
        self._proxies = {"no_proxy": self.host} if is_loopback(self.host) else {}
        self._retry_policy = retry_policy or RetryPolicy()
        self._user_agent = user_agent
        self._session = session
        self._refusal_policy = refusal_policy or RefusalPolicy()
        self._monotonic = monotonic
        self._sleep = sleep
        self._random = random
        self._rate_limit = RateLimit(clock=clock, monotonic=monotonic, random=random)

    def __enter__(self) -> ConnectifClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The client remains usable and then opens new ones."""
        if self._session is not None:
            self._session.close()

    @property
    def host(self) -> str:
        """The host name of the base URL."""
        return urlsplit(self.base_url).hostname or ""

    def list_exports(
        self, export_filter: ExportFilter | None = None, *, page_size: int = DEFAULT_PAGE_SIZE
    ) -> Iterator[Export]:
        """Iterate over the list of exports, each export once, requesting pages as they are needed.

        The API documents neither filters nor an order: every page is read, and the filter is applied here.

        :param export_filter: only exports that it matches
        :param page_size: exports per request
        :raises ApiError: if a request fails; the exports of earlier pages have been yielded
        """
        pages = ExportPages(page_size)
        while not pages.done:
            pages.read(self)
            yield from (each for each in pages.new_exports if export_filter is None or export_filter.matches(each))

    def list_pages(self, *, page_size: int = DEFAULT_PAGE_SIZE) -> Iterator[list[Export]]:
        """Iterate over the pages of the list of exports, including exports that the list repeats.

        :param page_size: exports per request
        :raises ApiError: if a request fails
        """
        pages = ExportPages(page_size)
        while not pages.done:
            yield pages.read(self)

    def get_page(self, url: str | None = None, *, page_size: int = DEFAULT_PAGE_SIZE) -> ListPage:
        """Return one page of the list of exports; :class:`ExportPages` reads one after the other.

        :param url: the page's URL, as :meth:`resolve_page_link` returns it; ``None`` for the first page
        :param page_size: exports per page, for the first page
        :raises ApiError: if the request fails
        """
        params = {"page": 1, "pageSize": page_size} if url is None else None
        return self._get(url or f"{self.base_url}/exports", _parse_page, params=params, what="the list of exports")

    def resolve_page_link(self, page: ListPage) -> str:
        """Return the URL of the page that follows a page.

        :raises UnexpectedResponse: if the link is not a string, or leads to another host
        """
        if not isinstance(page.link, str):
            raise UnexpectedResponse("The API's list of exports has a link that is not a string.")
        return self._auth.resolve_link(page.link, current=page.current)

    def get_export(self, export_id: str) -> Export:
        """Return one export; its ``file_url``, if it has one, is new.

        :param export_id: the export's id
        :raises InvalidArgument: if the id is empty, or would lead to another path
        :raises NotFound: if there is no such export
        :raises ApiError: if the request fails
        """
        if not export_id.strip(". "):
            raise InvalidArgument("export_id", f"{export_id!r} is not the id of an export.")
        url = f"{self.base_url}/exports/{quote(export_id, safe='')}"
        return self._get(url, _parse_export, what=f"export {export_id}")

    def get_existing_export(self, export_id: str, *, seen: bool = False) -> Export:
        """Return an export that should exist, like :meth:`get_export`, but do not believe a single refusal.

        :param export_id: the export's id
        :param seen: whether the API has returned this export before; it may otherwise have just been created
        :raises NotFound: if the API has repeated over the grace period that there is no such export
        :raises PermissionDenied: if the key may not read it; if it has been seen, only after the grace period
        :raises ApiError: if the request fails
        """
        refusals = Refusals(self._refusal_policy, clock=self._monotonic)
        if seen:
            refusals.see(export_id)
        while True:
            try:
                return self.get_export(export_id)
            except (NotFound, PermissionDenied) as error:
                if (isinstance(error, PermissionDenied) and not seen) or refusals.is_definite(export_id):
                    raise
                delay = self._refusal_policy.interval
                log.warning("%s This may be temporary: requesting it again in %.0f s.", error, delay)
            self._sleep(delay)

    def post_export(self, request: ExportRequest) -> Export:
        """Send the request that creates an export, **once**.

        :func:`~airflow_provider_connectif.api.creation.create_once` is the safe way to create an export.

        :param request: the request
        :raises Refused: if the API created nothing and never will
        :raises RateLimited: if it created nothing, and may do so later
        :raises ConnectionProblem: with ``sent=False``, if nothing was sent
        :raises CreationOutcomeUnknown: if an export may have been created
        """
        self.wait_for_rate_limit()
        try:
            return self._request(
                "POST",
                f"{self.base_url}{request.path}",
                _parse_export,
                what="a new export",
                scope="write",
                json=request.body(),
            )
        except ConnectionProblem as error:
            if not error.sent:
                raise
            raise CreationOutcomeUnknown(f"A new export was requested, but there was no response. {error}") from None
        except ServerError as error:
            raise CreationOutcomeUnknown(f"A new export was requested. {error}") from None
        except UnexpectedResponse as error:
            raise CreationOutcomeUnknown(
                f"A new export was requested, but the response cannot be read. {error}"
            ) from None

    def server_now(self) -> datetime:
        """Return the current time by the API's clock, according to its last response (which has whole seconds)."""
        return self._rate_limit.server_now()

    def wait_for_rate_limit(self) -> None:
        """Wait until the rate limit allows the next request; every request does this itself.

        :raises RateLimited: if that takes longer than the retry policy allows
        """
        delay = self._rate_limit.delay()
        if delay > self._retry_policy.seconds:
            raise RateLimited(
                f"The API's rate limit is reached; it asks to wait another {delay:.0f} s.", retry_after=delay
            )
        if delay > 0:
            log.debug("Waiting %.1f s for the API's rate limit.", delay)
            self._sleep(delay)

    def retry_delay(self, error: BaseException | None, attempt: int) -> float:
        """Return how many seconds to wait after a failed attempt.

        That is what the API asks for, plus jitter; or else a delay that grows with each attempt.

        :param error: the error that ended the attempt
        :param attempt: the number of attempts so far, starting at 1
        """
        retry_after = getattr(error, "retry_after", None)
        backoff = min(2.0 ** (attempt - 1), self._retry_policy.max_wait)
        if retry_after is not None:
            # Many tasks may have been given the same time: they must not all come back at once.
            return float(retry_after) + backoff * self._random()
        return backoff * (0.5 + self._random() / 2)

    def _get(
        self, url: str, parse: Callable[[str, Response], _T], *, what: str, params: Mapping[str, Any] | None = None
    ) -> _T:
        """Request and parse something; an unreadable response is retried like any other failure."""
        import tenacity

        deadline = self._monotonic() + self._retry_policy.seconds

        def attempt() -> _T:
            self.wait_for_rate_limit()
            return self._request("GET", url, parse, what=what, scope="read", params=params)

        def must_stop(state: RetryCallState) -> bool:
            if self._monotonic() + state.upcoming_sleep > deadline:
                return True
            return not isinstance(_error(state), RateLimited) and state.attempt_number >= self._retry_policy.attempts

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Unavailable),
            stop=must_stop,
            wait=lambda state: self.retry_delay(_error(state), state.attempt_number),
            sleep=self._sleep,
            before_sleep=_log_retry,
            reraise=True,
        )
        return retrying(attempt)

    def _request(self, method: str, url: str, parse: Callable[[str, Response], _T], **arguments: Any) -> _T:
        """Send one request and parse the response; errors name the connection."""
        try:
            return parse(url, self._send(method, url, **arguments))
        except (ApiError, InvalidConnection) as error:
            raise name_connection(error, self._name, self.base_url) from None

    def _send(self, method: str, url: str, *, what: str, scope: str, **arguments: Any) -> Response:
        """Send one request and return a successful response.

        :param what: what is requested, in words
        :param scope: the scope that the request needs
        :param arguments: further arguments of ``requests``
        :raises ApiError: if there is no response, or if it is not successful
        """
        try:
            response = self._open_session().request(
                method,
                url,
                auth=self._auth,
                timeout=self.timeout,
                proxies=dict(self._proxies),
                # A redirect would take the key along; the API documents none.
                allow_redirects=False,
                **arguments,
            )
        # ValueError: requests parses the target of a redirect, even though it does not follow it.
        except (OSError, ValueError) as error:
            # "from None": the messages of requests' errors contain what was sent.
            raise error_from_exception(error, base_url=self.base_url, timeout=self.timeout) from None
        retry_after = self._rate_limit.observe(response.headers, limited=response.status_code == 429)
        if response.status_code // 100 != 2:
            raise error_from_response(response, what=what, scope=scope, retry_after=retry_after)
        return response

    def _open_session(self) -> Session:
        if self._session is None:
            import requests

            self._session = requests.Session()
            self._session.headers["User-Agent"] = self._user_agent
            self._session.headers["Accept"] = "application/json"
        return self._session


def _parse_page(url: str, response: Response) -> ListPage:
    body = decode_json(response)
    if not isinstance(body, Mapping) or not isinstance(body.get("results"), list):
        raise UnexpectedResponse("The API's list of exports has no results. Check the connection's Host.")
    links = body.get("links")
    link = links.get("next") if isinstance(links, Mapping) else None
    return ListPage([Export.from_json(item) for item in body["results"]], url, response.url or url, link)


def _parse_export(url: str, response: Response) -> Export:
    return Export.from_json(decode_json(response))


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _log_retry(state: RetryCallState) -> None:
    error = _error(state)
    level = logging.INFO if isinstance(error, RateLimited) else logging.WARNING
    log.log(level, "%s Retrying in %.1f s.", error, state.upcoming_sleep)
