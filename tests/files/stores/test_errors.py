# SPDX-License-Identifier: Apache-2.0
"""What all stores share, by itself."""

from __future__ import annotations

import weakref

import pytest

from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.files.stores.errors import store_errors


class Part(bytearray):
    """Some megabytes that a library has in its hands while it fails."""


def fail_with(kept: list[weakref.ref[Part]], *, chained: bool) -> None:
    part = Part(1)
    kept.append(weakref.ref(part))
    if chained:
        try:
            fail_with(kept, chained=False)
        except OSError:
            raise ConnectionError("the store hung up") from None
    raise OSError("no space left")


@pytest.mark.parametrize("chained", [False, True])
def test_an_error_does_not_hold_what_the_store_was_sending(chained: bool) -> None:
    kept: list[weakref.ref[Part]] = []
    with pytest.raises(DestinationError) as caught, store_errors("writing it"):
        fail_with(kept, chained=chained)
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.__traceback__ is not None  # still there to be shown
    assert [part() for part in kept] == [None] * (1 + chained)


@pytest.mark.parametrize("answer", [FileNotFoundError, FileExistsError])
def test_neither_does_one_that_is_an_answer(answer: type[OSError]) -> None:
    kept: list[weakref.ref[Part]] = []

    def ask() -> None:
        part = Part(1)
        kept.append(weakref.ref(part))
        raise answer("a.csv")

    with pytest.raises(answer) as caught, store_errors("reading it"):
        ask()
    assert caught.value.__traceback__ is not None
    assert [part() for part in kept] == [None]
