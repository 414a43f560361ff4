# SPDX-License-Identifier: Apache-2.0
"""The project's pages and their code blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A code block: its place, its language and its text."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def file_name(self) -> str:
        """The name of the DAG file for this block."""
        return f"{self.page.stem.replace('-', '_')}_{self.line}.py"

    @property
    def is_dag(self) -> bool:
        return self.language == "python" and "DAG(" in self.text

    @property
    def dag_id(self) -> str:
        """The id of the DAG that this block defines."""
        return str(re.search(r'DAG\(\s*"(\w+)"', self.text)[1])  # type: ignore[index]


def blocks(*languages: str, page: Path | None = None) -> list[Block]:
    """Return the code blocks in these languages, of one page or of all."""
    found = []
    for path in PAGES if page is None else [page]:
        text = path.read_text()
        for match in _BLOCK.finditer(text):
            if match[1] in languages:
                found.append(Block(path, text.count("\n", 0, match.start()) + 2, match[1], match[2]))
    return found


def dag_blocks() -> list[Block]:
    """Return the code blocks that define a DAG."""
    return [block for block in blocks("python") if block.is_dag]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub creates them."""
    text = _BLOCK.sub("", page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(text)}
