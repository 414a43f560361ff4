# SPDX-License-Identifier: Apache-2.0
"""``make docs``: the pages as a site, in ``build/docs``; each warning is an error."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def stage(folder: Path) -> None:
    """Copy the pages and what they link to, laid out as here, so that their links hold."""
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("__pycache__", "conf.py"))
    shutil.copytree(ROOT / "example_dags", folder / "example_dags", ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*ROOT.glob("*.md"), ROOT / "LICENSE"]:
        shutil.copy(path, folder)


def build(into: Path, *, quiet: bool = True) -> str:
    """Build the site.

    :param into: the folder that it is put in; what is in it is replaced.
    :param quiet: say warnings alone.
    :return: what Sphinx had to say.
    :raises subprocess.CalledProcessError: on any warning.
    """
    shutil.rmtree(into, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="connectif-docs-") as scratch:
        source = Path(scratch) / "pages"
        stage(source)
        command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", *(["--quiet"] if quiet else [])]
        command += ["--conf-dir", str(ROOT / "docs"), "--doctree-dir", str(Path(scratch) / "doctrees")]
        command += ["--builder", "html", str(source), str(into)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = done.stdout.replace(f"{source}/", "")
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, "sphinx", said)
    # The site's own address is that of its first page.
    (into / "index.html").write_text('<!doctype html><meta http-equiv="refresh" content="0; url=docs/index.html">\n')
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "docs")
    into = parser.parse_args().into.resolve()
    try:
        print(build(into), end="")
    except subprocess.CalledProcessError as problem:
        print(problem.output)
        return 1
    print(f"The site is in {into}: open {into / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
