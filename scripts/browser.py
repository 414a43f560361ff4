# SPDX-License-Identifier: Apache-2.0
"""Chromium without a window, for tests and for the documentation's pictures."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

from selenium import webdriver


class NoBrowser(Exception):
    """Chromium or its driver is not installed."""


@contextlib.contextmanager
def chromium(*more: str) -> Iterator[webdriver.Chrome]:
    """Open Chromium, and close it in the end.

    :param more: its arguments, such as ``--window-size=1200,1300``.
    :raises NoBrowser: with words on what to do.
    """
    found, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (found and driver):
        raise NoBrowser("Chromium and its driver are missing: scripts/install-tools.sh installs them")
    options = webdriver.ChromeOptions()
    options.binary_location = found
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", *more):
        options.add_argument(argument)
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield opened
    finally:
        opened.quit()
