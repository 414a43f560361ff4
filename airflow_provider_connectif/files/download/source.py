# SPDX-License-Identifier: Apache-2.0
"""Requests for one file in the vendor's store: with a valid signed URL, retried, only while the file is unchanged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from airflow_provider_connectif.files.download import transport
from airflow_provider_connectif.files.download.response_headers import (
    RemoteFileInfo,
    checksums,
    parse_content_range,
    validator,
)
from airflow_provider_connectif.files.download.signed_urls import SignedUrls
from airflow_provider_connectif.files.download.transport import StreamedResponse, TransientError
from airflow_provider_connectif.files.download.url_policy import UrlPolicy
from airflow_provider_connectif.files.error_messages import is_error_message
from airflow_provider_connectif.files.errors import (
    RemoteFileChanged,
    RemoteFileRefused,
    RemoteFileUnavailable,
)

if TYPE_CHECKING:
    import requests

#: Bytes that the first request asks for, so that a small export needs no second one.
HEAD_SIZE = 256 << 10

_T = TypeVar("_T")


@dataclass(frozen=True)
class RetryPolicy:
    """
    How often and how long to retry while reading.

    :param attempts: maximum number of consecutive attempts that return no byte; progress restarts the count
    :param first_wait: seconds before the first retry, doubled for each further one, with jitter. After a broken
        connection that returned some bytes, the next attempt follows immediately.
    :param longest_wait: maximum number of seconds between two attempts
    :param longest_retry_after: maximum number of seconds to wait for a ``Retry-After``
    :param refusals: maximum number of consecutive signed URLs that are refused
    """

    attempts: int = 8
    first_wait: float = 0.5
    longest_wait: float = 30.0
    longest_retry_after: float = 300.0
    refusals: int = 4


@dataclass
class Beginning:
    """The number and the CRC-32 of the first bytes of a file, to recognize them if they are sent again."""

    length: int = 0
    crc: int = 0


class Aborted(Exception):
    """Reading was aborted by the caller. Never leaves this package."""


class Source:
    """
    One file in the vendor's store.

    :param urls: its signed URLs
    :param session: the session to use
    :param timeout: seconds to connect, seconds to wait for the next byte
    :param policy: how often and how long to retry
    :param sleep: waits some seconds; None for a real wait that ends early when reading is aborted
    :param url_policy: which URLs may be used; None for all
    """

    def __init__(
        self,
        urls: SignedUrls,
        session: requests.Session,
        timeout: tuple[float, float],
        policy: RetryPolicy,
        sleep: Callable[[float], None] | None,
        url_policy: UrlPolicy | None = None,
    ) -> None:
        self.urls = urls
        #: The file's first bytes, if it can be read by ranges.
        self.head = b""
        #: The longest beginning of a file without ranges that was received.
        self.beginning = Beginning()
        #: Whether all responses are certainly from the same file.
        self.is_confirmed = True
        self._session = session
        self._timeout = timeout
        self._policy = policy
        self._sleep = sleep
        self._url_policy = url_policy
        self._lock = threading.RLock()
        self._info: RemoteFileInfo | None = None
        self._unread: StreamedResponse | None = None  # the whole file, sent in response to the first request
        self._closed = threading.Event()

    @property
    def info(self) -> RemoteFileInfo:
        """
        The store's description of the file. The first use requests the file's first bytes, kept as :attr:`head`.

        :raises Aborted: the source is closed
        """
        with self._lock:
            if self._info is None:
                self._info = self.retry(self._probe, self._closed)
            return self._info

    def set_size(self, size: int) -> None:
        """Note the size of a file once its end was reached, if the store did not report it."""
        with self._lock:
            if self.info.size is None:
                self._info = replace(self.info, size=size)

    def close(self) -> None:
        """Send no further request."""
        self._closed.set()
        unread, self._unread = self._unread, None
        if unread is not None:
            unread.close()

    def retry(self, attempt: Callable[[], _T], aborted: threading.Event) -> _T:
        """
        Call ``attempt`` until it succeeds, and return its result.

        :param attempt: raises :class:`~.transport.TransientError` if a retry may help
        :param aborted: set when the result is no longer needed
        :raises Aborted: ``aborted`` was set
        :raises RemoteFileUnavailable: the policy allows no further attempt
        """
        policy = self._policy
        backoff = wait_exponential(multiplier=policy.first_wait, max=policy.longest_wait) + wait_random(
            0, policy.first_wait
        )

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            retry_after = error.retry_after if isinstance(error, TransientError) else None
            if retry_after is None and state.attempt_number == 1:
                return 0.0  # a connection broke or a signed URL expired: the store is not overloaded
            return max(backoff(state), min(retry_after or 0.0, policy.longest_retry_after))

        def sleep(seconds: float) -> None:
            if self._sleep is not None:
                self._sleep(seconds)
            elif aborted.wait(seconds):
                raise Aborted

        retrying = Retrying(
            stop=stop_after_attempt(policy.attempts),
            wait=wait,
            retry=retry_if_exception_type(TransientError),
            sleep=sleep,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except TransientError as error:
            reason = error.reason
        raise RemoteFileUnavailable(
            f"The vendor's store sent no more bytes of the file in {policy.attempts} attempts: {reason}."
        )

    def request(self, headers: Mapping[str, str], statuses: tuple[int, ...] = (200, 206)) -> StreamedResponse:
        """
        Send one request. A signed URL that is refused is dropped, so that the next attempt uses a new one.

        :param headers: ``Range`` and ``If-Range``
        :param statuses: statuses that are not a refusal; 400, 401, 403, 404 and 410 all occur for expired URLs
        :raises TransientError: a retry may help
        :raises RemoteFileRefused: the policy allows no further signed URL
        """
        if self._closed.is_set():
            raise Aborted
        url = self.urls.current()
        try:
            response = transport.get(self._session, url, headers, timeout=self._timeout, policy=self._url_policy)
            refusal = _refusal(response) if response.status in statuses else str(response.status)
            if not refusal:
                return response
            response.close()
        except transport.InvalidUrl as error:
            refusal = str(error)
        refused = self.urls.mark_refused(url)
        if refused >= self._policy.refusals:
            raise RemoteFileRefused(
                f"The vendor's store refuses the signed URL of the export's file ({refusal}); "
                f"{refused} URLs in a row were refused, each of them new from Connectif."
            )
        raise TransientError(f"the store refused the signed URL ({refusal})")

    def request_range(self, start: int, stop: int) -> tuple[StreamedResponse, int | None]:
        """
        Request a range of the file, on condition that the file is still the same.

        :return: a response whose body begins at ``start``, and where it stops; or, if the store sends the whole file,
            a response that begins at 0, and None
        """
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        if self.info.validator:
            headers["If-Range"] = self.info.validator
        response = self.request(headers)
        if response.status == 200:
            unchanged, sent_stop = self._check_unchanged(response, response.length), None
        else:
            first, sent_stop, size = parse_content_range(response.headers.get("Content-Range")) or (None, None, None)
            # Ranges of an encoded file are not ranges of the file.
            unchanged = self._check_unchanged(response, size) and response.encodings == self.info.encodings
            if first != start or sent_stop is None:
                response.close()
                raise TransientError("the store sent a different range than requested")
        if not unchanged:
            response.close()
            raise file_changed("the store does not show that it is still the same")
        return response, sent_stop and min(sent_stop, stop)

    def request_file(self) -> StreamedResponse:
        """Request the whole file, or return the response to the first request if it has not been read yet."""
        with self._lock:
            response, self._unread = self._unread, None
        if response is None:
            response = self.request({}, (200,))
            if not self._check_unchanged(response, response.length):
                self.is_confirmed = False
        return response

    def _probe(self) -> RemoteFileInfo:
        response = self.request({"Range": f"bytes=0-{HEAD_SIZE - 1}"}, (200, 206, 416))
        sent = parse_content_range(response.headers.get("Content-Range"))
        size = sent[2] if sent else None
        if response.status == 416 and size == 0:
            response.close()
            return self._info_from(response, size, ranges=True)
        if (
            (response.status == 206 and validator(response.headers))
            and (sent and sent[0] == 0 and sent[1] and size and sent[1] <= min(size, HEAD_SIZE))
        ):  # fmt: skip
            try:
                head = response.read_up_to(sent[1])
            finally:
                response.close()
            if not head:
                raise TransientError("the store's response ended early")
            self.head = head
            self.urls.mark_working()
            return self._info_from(response, size, ranges=True)
        if response.status != 200:
            # A range that makes no sense, or of an encoded file, or that may be of another file than the next one.
            response.close()
            response = self.request({}, (200,))
        self._unread = response
        return self._info_from(response, response.length, ranges=False)

    def _info_from(self, response: StreamedResponse, size: int | None, *, ranges: bool) -> RemoteFileInfo:
        return RemoteFileInfo(
            size=size,
            supports_ranges=ranges,
            checksums=checksums(response.headers, whole_file=response.status == 200, host=self.urls.host()),
            detects_truncation=size is not None or response.marks_end,
            validator=validator(response.headers),
            encodings=response.encodings,
        )

    def _check_unchanged(self, response: StreamedResponse, size: int | None) -> bool:
        """Return whether a response is certainly from the same file; raise an error if it is from another one."""
        info, found = self.info, validator(response.headers)
        is_other = bool(found and info.validator and found != info.validator)
        if is_other or (size is not None and info.size is not None and size != info.size):
            response.close()
            raise file_changed(f"its {'ETag' if is_other else 'size'} differs")
        return found is not None and not is_other and info.validator is not None


def file_changed(reason: str) -> RemoteFileChanged:
    """Return the error for a file that is another one than before."""
    return RemoteFileChanged(
        f"The file in the vendor's store was replaced during the download ({reason}). A retry downloads it again."
    )


def _refusal(response: StreamedResponse) -> str:
    """Return why the body of a response cannot be the file, or an empty string; decode it if necessary."""
    if any(name != "gzip" for name in response.encodings) or len(response.encodings) > 1:
        return "the store sent the file in an encoding that was not requested and is not supported"
    sent = parse_content_range(response.headers.get("Content-Range"))
    if response.status == 200 or (response.status == 206 and sent is not None and sent[0] == 0):
        content_type = response.headers.get("Content-Type")
        if is_error_message(response.open_body(), content_type):
            return "the store sent a web page or an error message instead of the file"
    return ""
