# SPDX-License-Identifier: Apache-2.0
"""Blocks produced in a background thread while the caller processes earlier ones, with a bounded queue."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator

#: Bytes that the allocator keeps: somewhat more than the blocks queued while one file is read.
_RETAINED_BYTES = 16 << 20


class ReadAhead(Iterator[bytes]):
    """
    An iterator over the blocks that ``produce`` returns, which calls it in a background thread.

    The thread starts when the first block is requested, and ends when the iterator is closed or garbage-collected.

    :param produce: returns the next block, and ``b""`` after the last one. An exception that it raises is raised
        here, after the blocks before it.
    :param depth: maximum number of queued blocks, which bounds the memory
    :param abort: called by the closing thread to wake a ``produce`` that waits for the network
    """

    def __init__(self, produce: Callable[[], bytes], *, depth: int, abort: Callable[[], None] | None = None) -> None:
        self._abort = abort
        self._queue = _Queue(depth)
        self._produce = produce
        self._thread: threading.Thread | None = None

    def __next__(self) -> bytes:
        if self._thread is None:
            _keep_freed_memory()
            # The thread holds a reference to the queue, not to this object, so that the garbage collector can close
            # this object and end the thread.
            thread = threading.Thread(
                target=_fill, args=(self._queue, self._produce), name="connectif-read-ahead", daemon=True
            )
            with self._queue.changed:  # close() takes this lock too: either it sees the thread, or none is started
                if not self._queue.stopped:
                    # Known before it starts, so that close() waits for it even if an interrupt comes meanwhile.
                    self._thread = thread
                    try:
                        thread.start()
                    except BaseException:
                        self._queue.stop()
                        raise
        return self._queue.get()

    def close(self) -> None:
        """Stop the thread and wait until it has ended. Can be called more than once, and from any thread."""
        self._queue.stop()
        if self._abort is not None:
            self._abort()
        if self._thread is not None:
            with contextlib.suppress(RuntimeError):  # it was never started, or it is this thread
                self._thread.join()

    def __del__(self) -> None:
        self.close()


class _Queue:
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
                raise ValueError("The iterator was closed before its end.")
            if self.blocks:
                block = self.blocks.popleft()
                # Not for each block: waking the thread costs time on both sides.
                if len(self.blocks) <= self.depth // 2:
                    self.changed.notify_all()
                return block
            failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        raise StopIteration

    def put(self, block: bytes) -> bool:
        """Add a block, wait until there is space for another, and return whether one is needed."""
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
    """Make the allocator keep the memory of freed blocks for later ones.

    By default glibc returns each freed megabyte to the system, which clears it before it is used again: a twentieth
    of the time that a file takes. It returns chunks larger than the largest one freed so far (mallopt(3),
    ``M_MMAP_THRESHOLD``), and this allocates and frees such a chunk without touching it. Other allocators ignore it.
    """
    bytearray(_RETAINED_BYTES)


def _fill(queue: _Queue, produce: Callable[[], bytes]) -> None:
    failure: BaseException | None = None
    try:
        while not queue.stopped and (block := produce()) and queue.put(block):
            del block
    except BaseException as error:  # raised again in the thread that reads
        failure = error
    queue.end(failure)
