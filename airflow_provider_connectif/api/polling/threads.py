# SPDX-License-Identifier: Apache-2.0
"""Blocking code out of an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *arguments: object) -> T:
    """Run blocking code in a thread. When cancelled, wait for the thread all the same: it uses what it was given.

    :param function: what to run.
    :param arguments: its arguments.
    """
    running = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        with suppress(Exception):
            await running
        raise
