# SPDX-License-Identifier: Apache-2.0
"""The form of a connection in the web interface: fill it in, save it, press Test."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions as expected
from selenium.webdriver.support.wait import WebDriverWait

from tests.stores import run_s3_server

DIALOG = "//*[@role='dialog']"


def host_and_port(url):
    """Return the URL as host and port, because Airflow 3.3.2 does not test a saved connection without a port."""
    host, _, port = url.rpartition(":")
    return {"host": host, "port": port}


class ConnectionsPage:
    def __init__(self, browser, airflow, screenshots, name):
        self.browser, self.airflow, self.screenshots, self.name = browser, airflow, screenshots, name
        browser.get(f"{airflow.url}/connections")

    def take_screenshot(self, step):
        assert self.browser.save_screenshot(str(self.screenshots / f"{self.name}-{step}.png"))

    def wait(self, condition, what):
        return WebDriverWait(self.browser, 40, poll_frequency=0.2).until(condition, what)

    def shown(self, by, what):
        return self.wait(expected.visibility_of_element_located((by, what)), f"{what} is shown")

    def click(self, xpath):
        self.wait(expected.element_to_be_clickable((By.XPATH, xpath)), f"{xpath} can be clicked").click()

    def add(self, conn_id, *, standard, extra):
        """Fill in the form of a Connectif connection, and save it."""
        self.click("//button[contains(., 'Add Connection')]")
        self.shown(By.NAME, "connection_id").send_keys(conn_id)
        choice = self.shown(By.XPATH, f"{DIALOG}//input[@role='combobox']")
        choice.send_keys("Connectif")
        self.shown(By.XPATH, "//*[@role='option' and .='Connectif']")
        choice.send_keys(Keys.ENTER)
        for name, value in standard.items():
            self.shown(By.NAME, name).send_keys(value)
        self.take_screenshot("1-standard")
        self.click(f"{DIALOG}//button[contains(., 'Extra Fields') and not(contains(., 'JSON'))]")
        for name, value in extra.items():
            self.shown(By.NAME, f"element_{name}").send_keys(value)
        self.take_screenshot("2-extra")
        self.click(f"{DIALOG}//button[contains(., 'Save')]")
        self.shown(By.XPATH, f"//tr[td[.='{conn_id}']]")

    def test(self, conn_id):
        """Press Test in the connection's row, and return the title and the text of the message."""
        self.wait(expected.invisibility_of_element_located((By.XPATH, DIALOG)), "the form is closed")
        self.click(f"//tr[td[.='{conn_id}']]//button[@aria-label='Test Connection']")
        toast = "//*[@data-scope='toast' and @data-part='root' and contains(., 'Test Connection')]"
        shown = self.shown(By.XPATH, toast)
        title = shown.find_element(By.XPATH, ".//*[@data-part='title']").text
        message = shown.find_element(By.XPATH, ".//*[@data-part='description']").text
        self.take_screenshot("3-tested")
        return title, message


@pytest.fixture
def page(browser, airflow, screenshots, request):
    return ConnectionsPage(browser, airflow, screenshots, request.node.name.removeprefix("test_"))


def test_the_form_saves_a_connection_and_the_test_button_reports_success(page, airflow, sandbox):
    page.add(
        "from_the_form",
        standard={**host_and_port(sandbox.url), "password": sandbox.key},
        extra={"app_url": "https://eu1.connectif.cloud", "store_id": "5f0c", "request_timeout": "20"},
    )
    saved = airflow.api("GET", "/api/v2/connections/from_the_form")
    title, message = page.test("from_the_form")

    assert saved["conn_type"] == "connectif"
    assert f"{saved['host']}:{saved['port']}" == sandbox.url
    assert sandbox.key not in str(saved)
    assert saved["extra"].replace(" ", "") == (
        '{"app_url":"https://eu1.connectif.cloud","store_id":"5f0c","request_timeout":20}'
    )
    assert "Success" in title
    assert "accepts the API key" in message


def test_the_test_button_reports_why_a_wrong_key_fails(page, sandbox):
    page.add("wrong_key", standard={**host_and_port(sandbox.url), "password": "some-id:some-secret"}, extra={})
    title, message = page.test("wrong_key")

    assert "Failed" in title
    assert "401" in message
    assert "key" in message
    assert "some-secret" not in message


def test_the_test_button_reports_why_a_wrong_host_fails(page, sandbox):
    page.add(
        "wrong_host",
        standard={**host_and_port(sandbox.url.replace("http://", "https://")), "password": sandbox.key},
        extra={},
    )
    title, message = page.test("wrong_host")

    assert "Failed" in title
    assert "does not speak https, but probably plain http: correct Host" in message
    assert "connection" not in message  # Airflow tests it under a random id


def test_the_test_button_reports_a_certificate_that_is_not_trusted(page, certificate, tmp_path):
    with run_s3_server(tmp_path, certificate) as url:
        page.add("private_authority", standard={**host_and_port(url), "password": "some-id:some-secret"}, extra={})
        title, message = page.test("private_authority")

    assert "Failed" in title
    assert "is not trusted" in message
    assert "REQUESTS_CA_BUNDLE" in message
