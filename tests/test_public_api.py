# SPDX-License-Identifier: Apache-2.0
"""The public API changes only on purpose: tests/public_api.txt is its last accepted state."""

from __future__ import annotations

import difflib
import importlib
from textwrap import dedent

import pytest

from scripts.public_api import LISTING, ROOT, listing, names_of, public_modules


def test_it_has_not_changed_since_it_was_accepted():
    was, now = LISTING.read_text(), listing()
    changes = "\n".join(difflib.unified_diff(was.splitlines(), now.splitlines(), "accepted", "now", n=1, lineterm=""))
    assert was == now, (
        f"The public API has changed:\n{changes}\n"
        "If this is intended, run `make public-api`, commit tests/public_api.txt, and describe it in CHANGELOG.md."
    )


@pytest.mark.parametrize("path", public_modules(), ids=lambda path: path.stem)
def test_each_module_of_it_can_be_imported(path):
    importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))


def test_it_contains_what_dag_authors_use():
    text = listing()
    for name in (
        "class ConnectifCreateExportOperator(BaseOperator)",
        "class ConnectifExportSensor(BaseSensorOperator)",
        "class ConnectifExportToObjectStorageOperator(BaseOperator)",
        "class ConnectifExportTrigger(",
        "class ConnectifExportFinishedEventTrigger(",
        "class ConnectifHook(BaseHook)",
        "def export_windows(",
        "def triggering_export_ids(",
        "def open_file(self, export_id: str) -> RemoteFile",
        "class Sandbox()",
    ):
        assert name in text, name


SOURCE = """
    from a import Passed, _kept
    __all__ = ["Passed"]
    LIMIT: int = 5
    _hidden = 1
    def work(first, *, second: str = "x", **rest) -> None: ...
    def _help(): ...
    @dataclass
    class Thing(Base):
        size: int = 0
        def __init__(self, size): ...
        @property
        def twice(self) -> int: ...
        async def wait(self): ...
        def _own(self): ...
"""


def test_it_lists_names_signatures_fields_and_decorators():
    assert names_of(dedent(SOURCE)) == [
        "Passed: from a",
        "LIMIT: int = 5",
        "def work(first, *, second: str='x', **rest) -> None",
        "@dataclass",
        "class Thing(Base)",
        "    size: int = 0",
        "    def __init__(self, size)",
        "    @property",
        "    def twice(self) -> int",
        "    async def wait(self)",
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("second: str", "second: int"),
        ('"x"', '"y"'),
        ("def work", "def play"),
        ("size: int = 0", "size: int = 1"),
        ("def __init__(self, size)", "def __init__(self)"),
        ("@property", "@cached_property"),
        ("Thing(Base)", "Thing(Other)"),
        ("LIMIT: int = 5", "LIMIT: int = 6"),
    ],
)
def test_a_change_is_found(before, after):
    assert names_of(dedent(SOURCE.replace(before, after))) != names_of(dedent(SOURCE))


def test_private_names_may_change():
    changed = SOURCE.replace("def _own(self)", "def _other(self)").replace("_hidden = 1", "_hidden = 2")
    assert names_of(dedent(changed)) == names_of(dedent(SOURCE))
