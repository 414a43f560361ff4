# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium, for tests and for the documentation's screenshots."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

from selenium import webdriver


class NoBrowser(Exception):
    """Chromium or its driver is not installed."""


@contextlib.contextmanager
def chromium(*more: str) -> Iterator[webdriver.Chrome]:
    """Run Chromium.

    :param more: additional arguments, such as ``--window-size=1200,1300``
    :raises NoBrowser: if it is not installed
    """
    found, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (found and driver):
        raise NoBrowser("Chromium or its driver is missing; run scripts/install-tools.sh to install them")
    options = webdriver.ChromeOptions()
    options.binary_location = found
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", *more):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()
