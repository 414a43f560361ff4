# SPDX-License-Identifier: Apache-2.0
"""Blocks made by a thread while the caller works on earlier ones, never more than a few waiting."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator

#: Bytes: what is waiting in a file's reading, and some more.
_KEPT = 16 << 20


class ReadAhead(Iterator[bytes]):
    """
    Yields what ``produce`` returns, asking for the next blocks in a thread meanwhile.

    The thread starts with the first block that is asked for. Closing, and dropping, ends it.

    :param produce: returns the next block, and ``b""`` after the last one. What it raises is raised here,
        after the blocks that came before.
    :param depth: how many blocks may wait at most: with their size, the bound on memory.
    :param abort: called from the closing thread to wake a ``produce`` that waits for the network.
    """

    def __init__(self, produce: Callable[[], bytes], *, depth: int, abort: Callable[[], None] | None = None) -> None:
        self._abort = abort
        self._shared = _Shared(depth)
        self._produce = produce
        self._thread: threading.Thread | None = None

    def __next__(self) -> bytes:
        if self._thread is None:
            _keep_freed_memory()
            # The thread knows what it shares with this object, not the object: so dropping that ends the
            # thread.
            thread = threading.Thread(
                target=_work, args=(self._produce, self._shared), name="connectif-read-ahead", daemon=True
            )
            with self._shared.changed:  # which closing needs too: it finds a thread that runs, or there will be none
                if not self._shared.stopped:
                    thread.start()
                    self._thread = thread
        return self._shared.get()

    def close(self) -> None:
        """End the thread, and wait until it is gone. Callable more than once, and from any thread."""
        self._shared.stop()
        if self._abort is not None:
            self._abort()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def __del__(self) -> None:
        self.close()


class _Shared:
    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.blocks: deque[bytes] = deque()
        self.changed = threading.Condition()
        self.stopped = False
        self.ended = False
        self.failure: BaseException | None = None

    def get(self) -> bytes:
        with self.changed:
            while not (self.blocks or self.ended or self.stopped):
                self.changed.wait()
            if self.stopped:
                raise ValueError("The reading was closed before its end.")
            if self.blocks:
                block = self.blocks.popleft()
                # Some at once: waking the thread for each block costs both sides.
                if len(self.blocks) <= self.depth // 2:
                    self.changed.notify_all()
                return block
            failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        raise StopIteration

    def put(self, block: bytes) -> bool:
        """Hand a block over and wait until there is room for another; False when there is no need for it."""
        with self.changed:
            self.blocks.append(block)
            self.changed.notify_all()
            while len(self.blocks) >= self.depth and not self.stopped:
                self.changed.wait()
            return not self.stopped

    def stop(self) -> None:
        with self.changed:
            self.stopped = True
            self.blocks.clear()
            self.changed.notify_all()

    def end(self, failure: BaseException | None) -> None:
        with self.changed:
            self.ended = True
            self.failure = failure
            self.changed.notify_all()


@functools.cache
def _keep_freed_memory() -> None:
    """Have the allocator keep what blocks leave, for the next ones.

    By itself glibc gives each freed megabyte back to the system, which clears it before it is used again: a twentieth
    of the time that a file takes. What it gives back at once is what is larger than the largest piece freed so far
    (mallopt(3), ``M_MMAP_THRESHOLD``), and this is one that is never touched. With other allocators nothing changes.
    """
    bytearray(_KEPT)


def _work(produce: Callable[[], bytes], shared: _Shared) -> None:
    failure: BaseException | None = None
    try:
        while (block := produce()) and shared.put(block):
            del block
    except BaseException as error:  # handed over to the caller, whatever it is
        failure = error
    shared.end(failure)
