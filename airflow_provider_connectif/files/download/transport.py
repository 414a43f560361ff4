# SPDX-License-Identifier: Apache-2.0
"""
HTTP requests to the store that holds an export's file, without ever revealing its signed URL.

A signed URL grants access to the file by itself. The exceptions and log records of ``requests`` and ``urllib3``
contain it, so none of them leaves this module: their causes are described in its own words.
"""

from __future__ import annotations

import contextlib
import http.client
import http.cookiejar
import itertools
import logging
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from airflow_provider_connectif.files.deflate import gunzip
from airflow_provider_connectif.files.download.response_headers import content_length, encodings, is_chunked
from airflow_provider_connectif.files.download.url_policy import UrlPolicy
from airflow_provider_connectif.files.errors import ArchiveCorrupt
from airflow_provider_connectif.http_headers import parse_wait, server_time

if TYPE_CHECKING:
    from requests import PreparedRequest

MAX_REDIRECTS = 5
#: A block is returned after this many seconds even if it is not full.
MAX_BLOCK_SECONDS = 0.5
#: From this rate in bytes per second, a block is read in a single call. That is twice as fast, but a broken connection
#: then loses the whole block, so it is only done where downloading it again takes a fraction of a second.
FAST_RATE = 20e6
_GZIP_SIGNATURE = b"\x1f\x8b"


class TransientError(Exception):
    """
    A request failed or its response broke off; a retry may help. Never leaves this package.

    :param reason: what happened, without the URL
    :param retry_after: seconds that the store asks to wait, 0 if it does not say how many, None if the connection broke
    """

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class InvalidUrl(Exception):
    """No request can be sent to the URL, or to the one that it redirects to. Never leaves this package."""


class SignedUrl:
    """A signed URL that is not revealed when printed."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "<signed URL>"


class _NoAuth(AuthBase):
    """Keeps ``requests`` from adding credentials of ``~/.netrc`` or of the URL's user part."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers.pop("Authorization", None)
        return request


class _SilentThreads(logging.Filter):
    """Drops the log records that ``urllib3`` creates in a thread while that thread uses a signed URL."""

    active = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(self.active, "depth", 0)


_SILENT_THREADS = _SilentThreads()
for _name in ("connectionpool", "connection", "poolmanager", "response", "util.retry"):
    # On each logger: filters do not apply to the records of child loggers.
    logging.getLogger(f"urllib3.{_name}").addFilter(_SILENT_THREADS)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    _SILENT_THREADS.active.depth = getattr(_SILENT_THREADS.active, "depth", 0) + 1
    try:
        yield
    finally:
        _SILENT_THREADS.active.depth -= 1


class _ForbiddenAddress(Exception):
    """A host has an address that may not be used. ``urllib3`` and ``requests`` pass it through."""


class _Adapter(HTTPAdapter):
    """
    An adapter that knows its connections, so that those in use can be closed while a store sends nothing.

    It checks the addresses of direct connections, before anything is sent; those of a proxy are the proxy's business.
    """

    def __init__(self, policy: UrlPolicy | None, **kwargs: Any) -> None:
        self._policy = policy
        super().__init__(**kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.connections: weakref.WeakSet[urllib3.connection.HTTPConnection] = weakref.WeakSet()
        connections, policy = self.connections, self._policy

        class Plain(urllib3.connection.HTTPConnection):
            def _new_conn(self) -> socket.socket:
                sock = super()._new_conn()
                if policy is not None and not policy.allows(sock.getpeername()[0]):
                    sock.close()
                    raise _ForbiddenAddress
                return sock

            def connect(self) -> None:
                super().connect()
                connections.add(self)

        class Secure(Plain, urllib3.connection.HTTPSConnection):
            """The same for TLS: the ``super()`` of its first base class is the second one."""

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


def new_session(policy: UrlPolicy | None = None) -> requests.Session:
    """
    Return a session that keeps no cookies, does not retry and sends no credentials.

    Proxies and certificate bundles of the environment are used (``trust_env``). ``~/.netrc`` is not, because each
    request disables authentication.

    :param policy: which addresses may be used; None for all
    """
    session = requests.Session()
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(policy, pool_connections=4, pool_maxsize=4, max_retries=0))
    return session


def disconnect(session: requests.Session) -> None:
    """
    Close a session and all of its connections, including those in use by other threads.

    :param session: a session of :func:`new_session`
    """
    session.close()
    for adapter in session.adapters.values():
        for connection in list(adapter.connections) if isinstance(adapter, _Adapter) else ():
            with contextlib.suppress(Exception):
                connection.sock.shutdown(socket.SHUT_RDWR)


class StreamedResponse:
    """
    A response whose body is read in blocks.

    :param response: the response, requested with ``stream=True``
    :param clock: returns monotonic seconds
    """

    def __init__(self, response: requests.Response, clock: Callable[[], float] = time.monotonic) -> None:
        self._response = response
        self._clock = clock
        self._broken: str | None = None
        self._fast = False
        self._unread = b""
        self._decoded: Iterator[bytes] | None = None
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        #: Length of the body, or None if the response does not report it.
        self.length = content_length(response.headers)
        #: As in :func:`.response_headers.encodings`.
        self.encodings = encodings(response.headers)
        #: Whether the end of the body can be distinguished from a broken connection.
        self.marks_end = self.length is not None or is_chunked(response.headers)

    def open_body(self, length: int = 512) -> bytes:
        """
        Return up to ``length`` bytes of the body without consuming them; decode the body if it is an encoded gzip file.

        The headers are dropped then: length, ETag and checksums are those of the encoded file.

        :raises TransientError: the connection broke; the response is closed
        """
        try:
            head = self._unread = self.read_up_to(length)
            if self.encodings and head.startswith(_GZIP_SIGNATURE):
                self._decoded = gunzip(itertools.chain([head], iter(lambda: self._read_body(1 << 16), b"")))
                self._unread, self.length, self.headers = b"", None, {}
                head = self.read_up_to(length)
                self._unread = head + self._unread
        except TransientError:
            self.close()
            raise
        return head

    def read(self, limit: int) -> bytes:
        """
        Return at most the next ``limit`` bytes of the body; ``b""`` at its end.

        :raises TransientError: the connection broke. Bytes received before that are returned first.
        """
        if not self._unread and self._decoded is not None:
            self._unread = self._read_decoded(self._decoded)
        if self._unread:
            data, self._unread = self._unread[:limit], self._unread[limit:]
            return data
        return b"" if self._decoded is not None else self._read_body(limit)

    def _read_decoded(self, decoded: Iterator[bytes]) -> bytes:
        if self._broken is None:
            try:
                return next(decoded, b"")
            except TransientError as error:
                self._broken = error.reason
            except ArchiveCorrupt:
                self._broken = "the store's gzip encoding is damaged or incomplete"
        raise TransientError(self._broken)

    def _read_body(self, limit: int) -> bytes:
        if self._broken is not None:
            raise TransientError(self._broken)
        started = self._clock()
        block = self._read_in_one_call(limit) if self._fast else self._read_in_pieces(limit, started)
        self._fast = len(block) == limit and limit > FAST_RATE * (self._clock() - started)
        if self._broken is not None and not block:
            raise TransientError(self._broken)
        return block

    def _read_in_one_call(self, limit: int) -> bytes:
        try:
            with _silent():
                block: bytes = self._response.raw.read(limit, decode_content=False)
        except Exception as error:
            self._broken = _describe(error)
            return b""
        return block

    def _read_in_pieces(self, limit: int, started: float) -> bytes:
        pieces: list[bytes] = []
        length = 0
        while length < limit:
            # `read1`, because `read` would lose the bytes received before a broken connection
            try:
                with _silent():
                    piece = self._response.raw.read1(limit - length, decode_content=False)
            except Exception as error:
                self._broken = _describe(error)
                break
            if not piece:
                break
            pieces.append(piece)
            length += len(piece)
            if self._clock() - started > MAX_BLOCK_SECONDS:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_up_to(self, length: int) -> bytes:
        """
        Return ``length`` bytes of the body, or fewer if it ends or the connection breaks.

        :raises TransientError: the connection broke before the first byte
        """
        parts = [self.read(length)]
        length -= len(parts[0])
        with contextlib.suppress(TransientError):
            while length and (block := self.read(length)):
                parts.append(block)
                length -= len(block)
        return b"".join(parts)

    def close(self) -> None:
        """Return the connection to the pool if the body was read to its end; otherwise close it."""
        with contextlib.suppress(Exception), _silent():
            self._response.close()

    def abort(self) -> None:
        """Interrupt a :meth:`read` in another thread, as if the connection had broken."""
        with contextlib.suppress(Exception):
            self._response.raw.shutdown()


def get(
    session: requests.Session,
    url: SignedUrl,
    headers: Mapping[str, str],
    *,
    timeout: tuple[float, float],
    policy: UrlPolicy | None = None,
    wall_clock: Callable[[], float] = time.time,
) -> StreamedResponse:
    """
    Send a ``GET`` request, follow redirects and return the response, whatever its status.

    Redirects are followed here and not by ``requests``: never from ``https`` to ``http``, and with the given headers
    only.

    :param session: the session to use; its own ``Authorization`` header is not sent
    :param url: the signed URL
    :param headers: ``Range`` and ``If-Range``
    :param timeout: seconds to connect, seconds to wait for the next byte
    :param policy: which URLs may be used; None for all
    :param wall_clock: returns Unix time, for a ``Retry-After`` that is a date
    :raises TransientError: no response, or one that asks to retry later (408, 425, 429 and 5xx)
    :raises InvalidUrl: no request can be sent to the URL, or to the one that it redirects to
    """
    sent: dict[str, Any] = {"Accept-Encoding": "identity", **headers}
    for _ in range(MAX_REDIRECTS + 1):
        problem = policy.problem(url.value) if policy is not None else None
        if problem is not None:
            raise InvalidUrl(problem)
        response = _send(session, url.value, sent, timeout)
        if isinstance(response, Exception):
            raise response
        status = response.status_code
        if status in (408, 425, 429) or status >= 500:
            now = server_time(response.headers, default=wall_clock())
            wait = parse_wait(response.headers.get("Retry-After"), now=now)
            response.close()
            raise TransientError(f"the store responded with {status}", retry_after=wait or 0.0)
        if status not in (301, 302, 303, 307, 308):
            return StreamedResponse(response)
        location = response.headers.get("Location", "")
        response.close()
        url = _redirect_target(url, location)
    raise InvalidUrl(f"it redirects more than {MAX_REDIRECTS} times")


def _send(
    session: requests.Session, url: str, headers: Mapping[str, Any], timeout: tuple[float, float]
) -> requests.Response | InvalidUrl | TransientError:
    # Errors are raised by the caller: an exception that is raised while another one is handled keeps that one as its
    # context, and with it the URL.
    try:
        with _silent():
            return session.get(
                url, headers=headers, timeout=timeout, stream=True, allow_redirects=False, auth=_NoAuth()
            )
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.MissingSchema,
        requests.exceptions.InvalidSchema,
        requests.exceptions.InvalidHeader,
        UnicodeError,
    ):
        return InvalidUrl("it is not an http(s) URL")
    except _ForbiddenAddress:
        return InvalidUrl("it leads to a private address")
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        return TransientError(_describe(error))


def _redirect_target(url: SignedUrl, location: str) -> SignedUrl:
    try:
        target = urljoin(url.value, location)
        old, new = urlsplit(url.value).scheme.lower(), urlsplit(target).scheme.lower()
    except ValueError:
        old = new = ""
    if not location or new not in ("http", "https"):
        raise InvalidUrl("it redirects to a location that is not an http(s) URL") from None
    if old == "https" and new != "https":
        raise InvalidUrl("it redirects from https to http")
    return SignedUrl(target)


def _describe(error: BaseException) -> str:
    """Describe an exception of the HTTP libraries without using its text, which may contain the URL."""
    kinds: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
        ((requests.exceptions.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError), "connecting timed out"),
        (
            (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError, TimeoutError),
            "the store sent no data within the timeout",
        ),
        ((requests.exceptions.ProxyError, urllib3.exceptions.ProxyError), "the proxy could not be used"),
        (
            (requests.exceptions.SSLError, urllib3.exceptions.SSLError),
            "no secure connection could be established (TLS, or the store's certificate)",
        ),
        ((http.client.HTTPException, urllib3.exceptions.ProtocolError), "the connection was broken"),
        ((requests.exceptions.ConnectionError,), "no connection to the store could be established"),
    )
    for types, description in kinds:
        if isinstance(error, types):
            return description
    return f"the connection failed ({type(error).__name__})"
