# SPDX-License-Identifier: Apache-2.0
"""A hostile API: random responses of broken gateways, proxies and rate limiters. None of them is the last word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from email.utils import formatdate
from random import Random

from airflow_provider_connectif.sandbox.faults import Fault

# How a 429 says when to come back, for a server's time and a number of seconds.
_LIMITED: Sequence[Callable[[float, int], dict[str, str]]] = (
    lambda now, wait: {"Retry-After": str(wait)},
    lambda now, wait: {"Retry-After": str(int(now) + wait)},
    lambda now, wait: {"Retry-After": formatdate(now + wait, usegmt=True)},
    lambda now, wait: {"Retry-After": "100000"},
    lambda now, wait: {"Retry-After": "soon"},
    lambda now, wait: {"RateLimit-Reset": str(int(now) + wait)},
    lambda now, wait: {"X-RateLimit-Reset": str(int((now + wait) * 1000))},
    lambda now, wait: {"X-RateLimit-Reset": "1e300"},
    lambda now, wait: {},
)
# How a successful response says that it was the last one for now.
_SPENT: Sequence[Callable[[float, int], dict[str, str]]] = (
    lambda now, wait: {"RateLimit-Remaining": "0", "RateLimit-Reset": str(wait)},
    lambda now, wait: {"RateLimit-Remaining": "0", "RateLimit-Reset": "100000"},
    lambda now, wait: {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int((now + wait) * 1000))},
    lambda now, wait: {"X-RateLimit-Remaining": "-1", "X-RateLimit-Reset": "soon"},
)
_READ = ("html", "gateway", "empty", "cut-json", "cut", "slow", "429", "502", "503", "headers")
_CREATE = (
    *("html", "gateway", "empty", "cut-json", "cut", "slow", "429", "502", "headers"),
    *("create-then-html", "create-then-500", "create-then-cut", "create-late"),
)


def random_fault(on: str, random: Random, now: float) -> Fault:
    """Return a fault for a request, from which a careful client recovers.

    :param on: ``create``, ``list`` or ``get``
    :param random: source of random numbers
    :param now: the server's time, in epoch seconds
    """
    kind = random.choice(_CREATE if on == "create" else _READ)
    wait = random.randint(1, 2)
    if kind == "gateway":
        return Fault(on, "html", status=random.choice((403, 404, 502)))
    if kind in ("429", "headers"):
        return Fault(on, kind, headers=random.choice(_LIMITED if kind == "429" else _SPENT)(now, wait))
    return Fault(on, kind, seconds=random.uniform(0.5, 4.0))
