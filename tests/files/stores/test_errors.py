# SPDX-License-Identifier: Apache-2.0
"""Translation of the errors that stores raise."""

from __future__ import annotations

import traceback
import weakref

import pytest

from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.files.stores.errors import store_errors
from tests.stores import Place


class Part(bytearray):
    """Several megabytes that a library holds while it fails."""


def fail_with(parts: list[weakref.ref[Part]], *, chained: bool) -> None:
    part = Part(1)
    parts.append(weakref.ref(part))
    if chained:
        try:
            fail_with(parts, chained=False)
        except OSError:
            raise ConnectionError("the store closed the connection") from None
    raise OSError("no space left")


@pytest.mark.parametrize("chained", [False, True])
def test_an_error_does_not_keep_what_was_being_sent(chained: bool) -> None:
    parts: list[weakref.ref[Part]] = []
    with pytest.raises(DestinationError) as caught, store_errors("writing it"):
        fail_with(parts, chained=chained)
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.__traceback__ is not None  # still available for the log
    assert [part() for part in parts] == [None] * (1 + chained)


@pytest.mark.parametrize("expected", [FileNotFoundError, FileExistsError])
def test_an_error_that_the_caller_handles_does_not_keep_it_either(expected: type[OSError]) -> None:
    parts: list[weakref.ref[Part]] = []

    def fail() -> None:
        part = Part(1)
        parts.append(weakref.ref(part))
        raise expected("a.csv")

    with pytest.raises(expected) as caught, store_errors("reading it"):
        fail()
    assert caught.value.__traceback__ is not None
    assert [part() for part in parts] == [None]


def test_an_error_does_not_quote_the_query_of_a_url(memory_store: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("cannot reach 'https://store.example/lake/a.csv?sv=2024&sig=abcdef123456'")

    store = memory_store.store()
    monkeypatch.setattr(type(memory_store.fs), "cat_file", fail)
    with pytest.raises(DestinationError, match=r"reading a\.csv: OSError: cannot reach") as caught:
        store.read("a.csv")
    assert "abcdef" not in "".join(traceback.format_exception(caught.value))
