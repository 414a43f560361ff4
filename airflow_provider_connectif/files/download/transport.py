# SPDX-License-Identifier: Apache-2.0
"""
One request to the store that holds an export's file, and nothing that could give its address away.

The address is signed: it is the whole right to read the file. So whatever ``requests`` and ``urllib3`` raise
or log, which quotes it, ends here; what leaves this module are words of our own.
"""

from __future__ import annotations

import contextlib
import http.client
import http.cookiejar
import logging
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from airflow_provider_connectif.files.download.response_headers import content_length

if TYPE_CHECKING:
    from requests import PreparedRequest

MAX_REDIRECTS = 5
#: A block is handed on after this many seconds even when it is not full.
FULL_BLOCK_PATIENCE = 0.5
#: Bytes per second from which on a block is read in one call. That is twice as fast, but loses the block in a break,
#: so only as much as comes again in a moment.
FAST = 20e6


class Interrupted(Exception):
    """
    A request broke off, or could not be answered now; trying again may help. Never leaves this package.

    :param reason: what happened, without the address.
    :param retry_after: seconds that the store wants to be left alone for, 0 when it did not say how many; None when the
        connection broke.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class Unusable(Exception):
    """The address is none that can be asked. Never leaves this package."""


class Address:
    """A signed address that does not show itself when printed."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "<signed address>"


class _NoAuth(AuthBase):
    """Keeps ``requests`` from adding what ``~/.netrc`` or the address's user part would give."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers.pop("Authorization", None)
        return request


class _Hush(logging.Filter):
    """Drops log records that ``urllib3`` makes in a thread while that thread asks for an address."""

    active = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(self.active, "depth", 0)


_HUSH = _Hush()
for _name in ("connectionpool", "connection", "poolmanager", "response", "util.retry"):
    # On each logger by itself: a filter is not asked about the records of the loggers below it.
    logging.getLogger(f"urllib3.{_name}").addFilter(_HUSH)


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    _HUSH.active.depth = getattr(_HUSH.active, "depth", 0) + 1
    try:
        yield
    finally:
        _HUSH.active.depth -= 1


class _Adapter(HTTPAdapter):
    """An adapter that can hang up on connections in use, so that nobody has to wait for a silent store."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.connections: weakref.WeakSet[urllib3.connection.HTTPConnection] = weakref.WeakSet()
        connections = self.connections

        class Plain(urllib3.connection.HTTPConnection):
            def connect(self) -> None:
                super().connect()
                connections.add(self)

        class Secure(urllib3.connection.HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                connections.add(self)

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


def new_session() -> requests.Session:
    """
    Make a session that keeps no cookies, retries nothing by itself and sends no credentials.

    Proxies and certificate bundles named in the environment are used (``trust_env``); ``~/.netrc`` is not,
    because each request says that it wants no authentication.
    """
    session = requests.Session()
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(pool_connections=4, pool_maxsize=4, max_retries=0))
    return session


def hang_up(session: requests.Session) -> None:
    """
    Close a session and break its connections, those in use by other threads too.

    :param session: one that :func:`new_session` made.
    """
    session.close()
    for adapter in session.adapters.values():
        for connection in list(adapter.connections) if isinstance(adapter, _Adapter) else ():
            with contextlib.suppress(Exception):
                connection.sock.shutdown(socket.SHUT_RDWR)


class Reply:
    """
    An answer whose body has not been read yet.

    :param response: the streaming response.
    """

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self._broken: str | None = None
        self._fast = False
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        #: Bytes of the body, or None when it has to tell by itself where it ends.
        self.length = content_length(response.headers)

    def read(self, limit: int) -> bytes:
        """
        Return the next bytes of the body, ``limit`` at most; ``b""`` at its end.

        :raises Interrupted: the connection broke. Bytes that came before the break are returned first.
        """
        if self._broken is not None:
            raise Interrupted(self._broken)
        started = time.monotonic()
        block = self._at_once(limit) if self._fast else self._piecewise(limit, started)
        self._fast = len(block) == limit and limit > FAST * (time.monotonic() - started)
        if self._broken is not None and not block:
            raise Interrupted(self._broken)
        return block

    def _at_once(self, limit: int) -> bytes:
        try:
            with _hushed():
                block: bytes = self._response.raw.read(limit, decode_content=False)
        except Exception as error:
            self._broken = _reason(error)
            return b""
        return block

    def _piecewise(self, limit: int, started: float) -> bytes:
        pieces: list[bytes] = []
        got = 0
        while got < limit:
            # `read1`, as `read` would lose what came before a break
            try:
                with _hushed():
                    piece = self._response.raw.read1(limit - got, decode_content=False)
            except Exception as error:
                self._broken = _reason(error)
                break
            if not piece:
                break
            pieces.append(piece)
            got += len(piece)
            if time.monotonic() - started > FULL_BLOCK_PATIENCE:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_up_to(self, length: int) -> bytes:
        """
        Return ``length`` bytes of the body, fewer when it ends or breaks off before.

        :raises Interrupted: it broke off without a byte.
        """
        parts = [self.read(length)]
        length -= len(parts[0])
        with contextlib.suppress(Interrupted):
            while length and (block := self.read(length)):
                parts.append(block)
                length -= len(block)
        return b"".join(parts)

    def close(self) -> None:
        """Give the connection back when the body was read to its end, and close it otherwise."""
        with contextlib.suppress(Exception), _hushed():
            self._response.close()

    def abort(self) -> None:
        """Wake a :meth:`read` that waits in another thread. It ends as if the connection had broken."""
        with contextlib.suppress(Exception):
            self._response.raw.shutdown()


def ask(
    session: requests.Session,
    address: Address,
    headers: Mapping[str, str],
    *,
    timeout: tuple[float, float],
    wall_clock: Callable[[], float] = time.time,
) -> Reply:
    """
    Send one ``GET`` and return its answer, whatever the status is, after redirects.

    Redirects are followed here, not by ``requests``: never from ``https`` to ``http``, and without any header
    but ours.

    :param session: what to send with; its own ``Authorization`` is not sent.
    :param address: where to.
    :param headers: ``Range`` and ``If-Range``.
    :param timeout: seconds to connect, seconds between two bytes.
    :param wall_clock: seconds since 1970, to understand a ``Retry-After`` that is a date.
    :raises Interrupted: no answer, or one that says "later" (408, 425, 429 and 5xx).
    :raises Unusable: the address, or where it leads, cannot be asked.
    """
    sent: dict[str, Any] = {"Accept-Encoding": "identity", **headers}
    for _ in range(MAX_REDIRECTS + 1):
        response, failed, hopeless = _send(session, address.value, sent, timeout)
        if hopeless is not None:
            raise Unusable(hopeless)
        if response is None:
            raise Interrupted(failed)
        status = response.status_code
        if status in (408, 425, 429) or status >= 500:
            wait = retry_after(response.headers.get("Retry-After"), wall_clock)
            response.close()
            raise Interrupted(f"the store answered {status}", retry_after=wait or 0.0)
        if status not in (301, 302, 303, 307, 308):
            return Reply(response)
        location = response.headers.get("Location", "")
        response.close()
        address = _redirected(address, location)
    raise Unusable(f"it redirects more than {MAX_REDIRECTS} times")


def _send(
    session: requests.Session, url: str, headers: Mapping[str, Any], timeout: tuple[float, float]
) -> tuple[requests.Response | None, str, str | None]:
    # Errors come back as words, not as exceptions: an exception that is raised while another one is handled
    # keeps that one as its context, and with it the address.
    failed, hopeless = "", None
    try:
        with _hushed():
            return (
                session.get(url, headers=headers, timeout=timeout, stream=True, allow_redirects=False, auth=_NoAuth()),
                failed,
                hopeless,
            )
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.MissingSchema,
        requests.exceptions.InvalidSchema,
        requests.exceptions.InvalidHeader,
        UnicodeError,
    ):
        hopeless = "it is not an http(s) address"
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        failed = _reason(error)
    return None, failed, hopeless


def _redirected(address: Address, location: str) -> Address:
    try:
        target = urljoin(address.value, location)
        old, new = urlsplit(address.value).scheme.lower(), urlsplit(target).scheme.lower()
    except ValueError:
        old = new = ""
    if not location or new not in ("http", "https"):
        raise Unusable("it redirects to nowhere that can be asked") from None
    if old == "https" and new != "https":
        raise Unusable("it redirects from https to http")
    return Address(target)


def _reason(error: BaseException) -> str:
    """Say what an exception of the HTTP libraries means, without a word of its own text."""
    kinds: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
        (
            (requests.exceptions.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError),
            "connecting took too long",
        ),
        (
            (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError, TimeoutError),
            "the store sent nothing for too long",
        ),
        ((requests.exceptions.ProxyError, urllib3.exceptions.ProxyError), "the proxy could not be used"),
        (
            (requests.exceptions.SSLError, urllib3.exceptions.SSLError),
            "no secure connection could be made (TLS, or the store's certificate)",
        ),
        (
            (urllib3.exceptions.IncompleteRead, http.client.IncompleteRead, urllib3.exceptions.ProtocolError),
            "the connection broke off",
        ),
        ((requests.exceptions.ConnectionError,), "no connection to the store could be made"),
    )
    for types, words in kinds:
        if isinstance(error, types):
            return words
    return f"the connection failed ({type(error).__name__})"


def retry_after(value: str | None, wall_clock: Callable[[], float] = time.time) -> float | None:
    """
    Understand a ``Retry-After`` header.

    :param value: seconds, or an HTTP date.
    :param wall_clock: seconds since 1970.
    :return: seconds to wait, or None when there is no such header or nobody could understand it.
    """
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    now = datetime.fromtimestamp(wall_clock(), timezone.utc)
    return max(0.0, (moment - now).total_seconds())
