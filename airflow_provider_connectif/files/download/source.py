# SPDX-License-Identifier: Apache-2.0
"""The store that a file is read from: asked patiently, with an address that works, for a file that stays the
same."""

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
    Facts,
    checksums,
    content_length,
    content_range,
    is_chunked,
)
from airflow_provider_connectif.files.download.signed_urls import Addresses
from airflow_provider_connectif.files.errors import (
    RemoteFileChanged,
    RemoteFileRefused,
    RemoteFileUnavailable,
)

if TYPE_CHECKING:
    import requests

#: The first request asks for this much: enough for a small export to need no second one.
HEAD = 256 << 10

_T = TypeVar("_T")


@dataclass(frozen=True)
class RetryPolicy:
    """
    How patient reading is.

    :param attempts: how often in a row a request may bring no byte at all. Progress starts the count anew.
    :param first_wait: seconds to wait first, doubled for each further attempt, with jitter. After a break of a
        connection that brought something the next attempt comes at once.
    :param longest_wait: seconds that a wait grows to.
    :param longest_retry_after: seconds of a ``Retry-After`` that are waited at most.
    :param refusals: how many addresses in a row may be refused, the one in use and fresh ones.
    """

    attempts: int = 8
    first_wait: float = 0.5
    longest_wait: float = 30.0
    longest_retry_after: float = 300.0
    refusals: int = 4


class Aborted(Exception):
    """The reading was given up by its owner. Never leaves this package."""


class Source:
    """
    One file in the vendor's store.

    :param addresses: gives the address to ask.
    :param session: what to ask with.
    :param timeout: seconds to connect, seconds to wait for the next byte.
    :param policy: how patient to be.
    :param sleep: waits some seconds; None for a real wait that ends early when the reading is given up.
    """

    def __init__(
        self,
        addresses: Addresses,
        session: requests.Session,
        timeout: tuple[float, float],
        policy: RetryPolicy,
        sleep: Callable[[float], None] | None,
    ) -> None:
        self.addresses = addresses
        self.head = b""
        self._session = session
        self._timeout = timeout
        self._policy = policy
        self._sleep = sleep
        self._lock = threading.RLock()
        self._facts: Facts | None = None
        self._whole: transport.Reply | None = None
        self._closed = threading.Event()

    @property
    def facts(self) -> Facts:
        """
        What the store tells of the file. The first use asks for the file's first bytes, kept as :attr:`head`.

        :raises Aborted: the source is closed.
        """
        with self._lock:
            if self._facts is None:
                self._facts = self.patiently(self._probe, self._closed)
            return self._facts

    def learn_size(self, size: int) -> None:
        """Note the size of a file whose size the store did not tell, once its end was reached."""
        with self._lock:
            if self.facts.size is None:
                self._facts = replace(self.facts, size=size)

    def close(self) -> None:
        """Ask nothing any more."""
        self._closed.set()
        whole, self._whole = self._whole, None
        if whole is not None:
            whole.close()

    def patiently(self, attempt: Callable[[], _T], given_up: threading.Event) -> _T:
        """
        Repeat an attempt until it brings something.

        :param attempt: what to try. It raises :class:`transport.Interrupted` when trying again may help.
        :param given_up: set when nobody waits for the outcome any more.
        :raises Aborted: ``given_up`` was set.
        :raises RemoteFileUnavailable: the policy allows no further attempt.
        """
        policy = self._policy
        backoff = wait_exponential(multiplier=policy.first_wait, max=policy.longest_wait) + wait_random(
            0, policy.first_wait
        )

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after if isinstance(error, transport.Interrupted) else None
            if asked is None and state.attempt_number == 1:
                return 0.0  # a connection broke, or an address is over: nothing says that the store needs a rest
            return max(backoff(state), min(asked or 0.0, policy.longest_retry_after))

        def sleep(seconds: float) -> None:
            if self._sleep is not None:
                self._sleep(seconds)
            elif given_up.wait(seconds):
                raise Aborted

        retrying = Retrying(
            stop=stop_after_attempt(policy.attempts),
            wait=wait,
            retry=retry_if_exception_type(transport.Interrupted),
            sleep=sleep,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except transport.Interrupted as error:
            reason = error.reason
        raise RemoteFileUnavailable(
            f"The vendor's store gave no further byte of the file in {policy.attempts} attempts: {reason}."
        )

    def ask(self, headers: Mapping[str, str]) -> transport.Reply:
        """
        Ask once. An address that is refused is given up, so that the next attempt gets a fresh one.

        :param headers: ``Range`` and ``If-Range``.
        :return: an answer of status 200, 206 or 416.
        :raises transport.Interrupted: try again.
        :raises RemoteFileRefused: as many addresses in a row were refused as the policy allows.
        """
        if self._closed.is_set():
            raise Aborted
        address = self.addresses.current()
        unusable = ""
        try:
            reply = transport.ask(self._session, address, headers, timeout=self._timeout)
        except transport.Unusable as error:
            unusable = str(error)
        if unusable:
            raise RemoteFileRefused(f"The address of the export's file cannot be used: {unusable}.")
        if reply.status in (200, 206, 416):
            return reply
        # 400, 401, 403, 404 and 410 are all met for an address that is over.
        reply.close()
        refused = self.addresses.refuse(address)
        if refused >= self._policy.refusals:
            raise RemoteFileRefused(
                f"The vendor's store answers {reply.status} to the address of the export's file, and did so "
                f"for {refused} addresses in a row, each one fresh from Connectif."
            )
        raise transport.Interrupted(f"the store answered {reply.status}")

    def ask_range(self, start: int, stop: int) -> tuple[transport.Reply, int | None]:
        """
        Ask for a part of the file, to be had only if the file is still the same one.

        :return: an answer whose body begins at ``start``, and where it stops; or, from a store that sends the
            whole file, an answer that begins at 0, and None.
        """
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        if etag := self.facts.strong_etag:
            headers["If-Range"] = etag
        reply = self.ask(headers)
        if reply.status == 200:
            self._check_same(reply, content_length(reply.headers))
            return reply, None
        told = content_range(reply.headers.get("Content-Range"))
        self._check_same(reply, told[2] if told else None)
        if reply.status == 416 or told is None or told[0] != start or told[1] is None:
            reply.close()
            raise transport.Interrupted("the store answered with another range than was asked for")
        return reply, min(told[1], stop)

    def ask_whole(self) -> transport.Reply:
        """Ask for the whole file, or return the answer that the first request got and nobody has read yet."""
        with self._lock:
            whole, self._whole = self._whole, None
        if whole is None:
            whole = self._ask_whole()
            self._check_same(whole, content_length(whole.headers))
        return whole

    def _ask_whole(self) -> transport.Reply:
        reply = self.ask({})
        if reply.status != 200:
            reply.close()
            raise transport.Interrupted(f"the store answered {reply.status} to a request for the whole file")
        return reply

    def _probe(self) -> Facts:
        reply = self.ask({"Range": f"bytes=0-{HEAD - 1}"})
        told = content_range(reply.headers.get("Content-Range"))
        size = told[2] if told else None
        if reply.status == 416 and size == 0:
            reply.close()
            return self._learn(reply, size, ranges=True)
        if reply.status == 206 and told and told[0] == 0 and told[1] and size and told[1] <= min(size, HEAD):
            try:
                head = reply.read_up_to(told[1])
            finally:
                reply.close()
            if not head:
                raise transport.Interrupted("the store ended its answer early")
            self.head = head
            self.addresses.accepted()
            return self._learn(reply, size, ranges=True)
        if reply.status != 200:
            # A range that makes no sense: ask for the whole in place of it.
            reply.close()
            reply = self._ask_whole()
        self._whole = reply
        return self._learn(reply, content_length(reply.headers), ranges=False)

    def _learn(self, reply: transport.Reply, size: int | None, *, ranges: bool) -> Facts:
        return Facts(
            size=size,
            etag=reply.headers.get("ETag"),
            supports_ranges=ranges,
            checksums=checksums(reply.headers, whole=reply.status == 200, host=self.addresses.host()),
            sure_end=size is not None or is_chunked(reply.headers),
        )

    def _check_same(self, reply: transport.Reply, size: int | None) -> None:
        facts, etag = self.facts, reply.headers.get("ETag")
        other_etag = bool(etag and facts.etag and etag != facts.etag)
        if other_etag or (size is not None and facts.size is not None and size != facts.size):
            reply.close()
            raise RemoteFileChanged(
                "The vendor's store has another file than when reading began "
                f"(its {'ETag' if other_etag else 'size'} differs): the export has to be read anew."
            )
