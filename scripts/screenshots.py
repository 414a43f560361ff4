# SPDX-License-Identifier: Apache-2.0
"""Take the screenshots in ``docs/images`` of a real Airflow with the sandbox: ``make screenshots``."""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions as expected
from selenium.webdriver.support.wait import WebDriverWait

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from scripts.browser import NoBrowser, chromium
from scripts.local_airflow import LocalAirflow, LocalAirflowError, sandbox_connection

if TYPE_CHECKING:
    from selenium import webdriver

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
DAG = "connectif_activities"
DIALOG = "//*[@role='dialog']"
MAX_BYTES = 150_000

# Slow enough for some lines of progress in the log, which are written every 10 seconds.
OPTIONS = SandboxOptions(queue_seconds=1, seconds_per_export=5, file_bytes=40_000_000, bytes_per_second=300_000)


class Page:
    """A page in a browser.

    :param browser: Chromium
    :param into: folder for the screenshots
    """

    def __init__(self, browser: webdriver.Chrome, into: Path) -> None:
        self.browser = browser
        self.into = into

    def shown(self, xpath: str) -> webdriver.remote.webelement.WebElement:
        wait = WebDriverWait(self.browser, 60, poll_frequency=0.2)
        return wait.until(expected.visibility_of_element_located((By.XPATH, xpath)), f"{xpath} is shown")

    def click(self, xpath: str) -> None:
        wait = WebDriverWait(self.browser, 60, poll_frequency=0.2)
        wait.until(expected.element_to_be_clickable((By.XPATH, xpath)), f"{xpath} can be clicked").click()

    def fill(self, name: str, value: str) -> None:
        self.shown(f"//*[@name='{name}']").send_keys(value)

    def resize(self, width: int, height: int) -> None:
        self.browser.set_window_size(width, height)

    def take(self, name: str, xpath: str = "//body", *, settle: float = 1.5) -> None:
        """Take a screenshot of an element, in WebP format.

        :param name: file name without an extension
        :param xpath: the element
        :param settle: seconds to wait for animations to end
        """
        time.sleep(settle)
        box = self.shown(xpath).rect
        clip = {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"], "scale": 1}
        arguments = {"format": "webp", "quality": 82, "clip": clip, "captureBeyondViewport": True}
        data = base64.b64decode(self.browser.execute_cdp_cmd("Page.captureScreenshot", arguments)["data"])
        if len(data) > MAX_BYTES:
            raise LocalAirflowError(f"{name} has {len(data)} bytes, more than {MAX_BYTES}")
        (self.into / f"{name}.webp").write_bytes(data)
        print(f"{name}.webp: {len(data)} bytes", flush=True)


def form(page: Page, url: str) -> None:
    """Take screenshots of the form for a new connection to the real API."""
    page.resize(1100, 1150)
    page.browser.get(f"{url}/connections")
    page.click("//button[contains(., 'Add Connection')]")
    page.fill("connection_id", "connectif_default")
    choice = page.shown(f"{DIALOG}//input[@role='combobox']")
    choice.send_keys("Connectif")
    page.shown("//*[@role='option' and .='Connectif']")
    choice.send_keys(Keys.ENTER)
    page.fill("password", "keyId:keySecret")
    page.fill("description", "The web shop")
    page.take("connection-form", DIALOG)
    page.click(f"{DIALOG}//button[contains(., 'Standard Fields')]")
    page.click(f"{DIALOG}//button[contains(., 'Extra Fields') and not(contains(., 'JSON'))]")
    page.fill("element_app_url", "https://eu1.connectif.cloud")
    page.fill("element_store_id", "5f0c1e0a9d3b2c4e6f8a0b1c")
    page.take("connection-extra", DIALOG)


def run_example(airflow: LocalAirflow) -> str:
    """Run the first example, and return the id of the run."""
    run = airflow.scheduled_run(DAG)
    state = airflow.wait_for_run(DAG, run)
    if state != "success":
        raise LocalAirflowError(f"The run ended in state {state}: {airflow.tasks(DAG, run)}")
    return run


def graph(page: Page, url: str, run: str) -> None:
    page.resize(1300, 700)
    page.browser.get(f"{url}/dags/{DAG}/runs/{quote(run)}")
    page.click("//button[starts-with(@aria-label, 'Show Graph')]")
    page.shown("//*[contains(@class, 'react-flow__node') and contains(., 'store')]")
    page.take("graph", settle=3)


def log(page: Page, url: str, run: str) -> None:
    page.resize(1700, 660)
    page.browser.get(f"{url}/dags/{DAG}/runs/{quote(run)}/tasks/store")
    page.click("//button[starts-with(@aria-label, 'Show Grid')]")
    page.shown("//*[contains(text(), 'Stored export')]")
    page.take("task-log")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=IMAGES)
    into = parser.parse_args().into
    into.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="connectif-") as scratch,
        Sandbox(OPTIONS).serve(port=0) as sandbox,
        LocalAirflow(
            Path(scratch) / "airflow",
            dags=ROOT / "example_dags",
            connections={"connectif_default": sandbox_connection(sandbox.url, sandbox.key)},
            environment={"CONNECTIF_LAKE": (Path(scratch) / "lake").as_uri()},
        ) as airflow,
        chromium("--hide-scrollbars") as browser,
    ):
        page = Page(browser, into)
        form(page, airflow.url)
        run = run_example(airflow)
        graph(page, airflow.url, run)
        log(page, airflow.url, run)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (LocalAirflowError, NoBrowser) as error:
        sys.exit(str(error))
