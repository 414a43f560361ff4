# SPDX-License-Identifier: Apache-2.0
"""A long list of exports for tests: 17 reports whose names contain one another, on 40 pages."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow_provider_connectif.sandbox.server import RunningSandbox

# Each is a part of another, or has another in it.
TITLES = (
    "V!",
    "Carrito",
    "V! Carrito",
    "V! Carrito abandonado",
    "V! Carrito abandonado 2",
    "Carrito abandonado",
    "abandonado",
    "Ventas",
    "Ventas por categoría",
    "Ventas por categoría y día",
    "categoría",
    "Ventas-20261101",
    "Ventas-v2",
    "Export",
    "Export-activities",
    "Ventas/día",
    "Ventas 🛒",
)
PAGES, PAGE_SIZE = 40, 50
FAILED, RUNNING = "V! Carrito", "Ventas"
"""The reports whose newest exports have failed, and are still running."""

_BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def fill_the_list(sandbox: RunningSandbox) -> list[str]:
    """Make 2,000 exports, and tell the newest finished one of each report, oldest first."""
    newest: dict[str, str] = {}
    for number in range(PAGES * PAGE_SIZE - 2):
        made = _BEGIN + timedelta(hours=number)
        if number % 10 == 9:
            _make(sandbox, made, "contacts", "")
            continue
        title = TITLES[number % len(TITLES)]
        newest.pop(title, None)
        newest[title] = _make(sandbox, made, "data-explorer", title)
    later = _BEGIN + timedelta(days=100)
    _make(sandbox, later, "data-explorer", FAILED, fail=True)
    _make(sandbox, later, "data-explorer", RUNNING, options={"seconds_per_export": 1e9})
    return list(newest.values())


def _make(sandbox: RunningSandbox, made: datetime, export_type: str, title: str, **more: object) -> str:
    day = made.date().isoformat()
    filters = {"reportId": f"{TITLES.index(title):024x}", "fromDate": day, "toDate": day} if title else {}
    return sandbox.create_in_app(
        {"exportType": export_type, "createdAt": made.isoformat(), "title": title, "filters": filters, **more}
    )
