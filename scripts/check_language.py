# SPDX-License-Identifier: Apache-2.0
"""Check code and documents for phrases that do not belong in plain technical English.

    python -m scripts.check_language [PATH …]        each phrase found, with file and line
    python -m scripts.check_language --count         how many there are, by phrase and by folder

Only phrases that are never right are listed, so there is nothing to suppress. Identifiers are checked as well:
`test_it_starts_anew` is found. A phrase that continues on the next line, comment or string literal is found too.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SUFFIXES = {".md", ".py", ".sh", ".toml", ".yaml", ".yml"}
NAMES = {"Makefile", "run"}
HIDDEN_FOLDERS = {".ci", ".github"}
IGNORED_FOLDERS = {"build", "dist", "__pycache__"}
# These two name the phrases themselves.
ALLOWED = {"scripts/check_language.py", "tests/scripts/test_check_language.py"}

_GAP = r"""(?:_|\s*["']?\s+(?:(?:\#:?|>|f?["'])\s*)?)"""
_WORD = r"[^\W_]+"


def _pattern(phrases: Iterable[str]) -> re.Pattern[str]:
    """Compile phrases in which a space stands for any gap, and WORD for any word."""
    alternatives = "|".join(phrase.replace(" ", _GAP).replace("WORD", _WORD) for phrase in phrases)
    return re.compile(rf"(?<![^\W_])(?:{alternatives})(?![^\W_])", re.IGNORECASE)


class Rule(NamedTuple):
    """A phrase that is never right, and what to write instead."""

    name: str
    instead: str
    pattern: re.Pattern[str]


RULES = [
    Rule(name, instead, _pattern([phrase]))
    for name, phrase, instead in (
        ("is no <noun>", "(?:is|are|was|were) no WORD", "is not a …"),
        ("in place of", "in place of", "instead of"),
        ("anew", "anew", "again"),
        ("for ever", "for ever", "forever, indefinitely or always"),
        ("make known", "(?:makes?|made|making) known", "report, show or log"),
        ("to be had", "to be had", "available"),
        ("mend", "mend(?:s|ed|ing)?", "fix"),
        ("all the same", "all the same", "anyway, or still"),
        ("beside", "beside", "next to, with, or in addition to"),
    )
] + [Rule('"""Give or Tell', "Return …", re.compile(r'"""(?:Give|Tell)s?\b'))]

# Taken out before the rules are applied.
LEGITIMATE = _pattern(
    (
        "there (?:is|are|was|were) no",
        "(?:is|are|was|were) no (?:longer|more|less|one)",
        "(?:is|are|was|were) no WORD than",
        "(?:is|are|was|were|be) all the same",
    )
)


class Finding(NamedTuple):
    """A rule that a file breaks."""

    path: str
    line: int
    text: str
    rule: Rule


def check(text: str, path: str = "") -> list[Finding]:
    """Return what the rules find in a text, in the order of its lines."""
    text = LEGITIMATE.sub(lambda found: re.sub(r"\S", "-", found[0]), text)
    return sorted(
        Finding(path, text.count("\n", 0, found.start()) + 1, " ".join(found[0].split()), rule)
        for rule in RULES
        for found in rule.pattern.finditer(text)
    )


def files(root: Path) -> Iterator[Path]:
    """Yield the files below a folder that are checked."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders if name in HIDDEN_FOLDERS or not (name.startswith(".") or name in IGNORED_FOLDERS)
        )
        for name in sorted(names):
            if name in NAMES or Path(name).suffix in SUFFIXES:
                yield Path(folder, name)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Print what was found; return 1 if that was anything."""
    parser = argparse.ArgumentParser(prog="python -m scripts.check_language", description="Check the language.")
    parser.add_argument("paths", nargs="*", type=Path, help="files or folders; all that is checked if there are none")
    parser.add_argument("--count", action="store_true", help="print how often each phrase was found, and where")
    options = parser.parse_args(arguments)
    findings: list[Finding] = []
    for given in options.paths or [root]:
        for path in files(given) if given.is_dir() else [given]:
            name = os.path.relpath(path, root)
            if name not in ALLOWED:
                findings += check(path.read_text(encoding="utf-8"), name)
    if options.count:
        _print_counts("phrase", (finding.rule.name for finding in findings))
        _print_counts("folder", (os.path.dirname(finding.path) or "." for finding in findings))
    else:
        for finding in findings:
            print(f"{finding.path}:{finding.line}: {finding.text!r}: write {finding.rule.instead}")
    return 1 if findings else 0


def _print_counts(title: str, names: Iterable[str]) -> None:
    counts = Counter(names)
    print(f"{sum(counts.values()):5d}  by {title}")
    for name, count in counts.most_common():
        print(f"{count:5d}    {name}")


if __name__ == "__main__":
    sys.exit(main())
