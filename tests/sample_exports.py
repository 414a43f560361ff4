# SPDX-License-Identifier: Apache-2.0
"""A long list of exports for tests: 40 pages with 17 reports, whose titles contain each other."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow_provider_connectif.sandbox.server import RunningSandbox

# Each title is part of another one, or contains one.
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
#: The reports whose newest exports failed and are still in progress, respectively.
FAILED, RUNNING = "V! Carrito", "Ventas"

_BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def fill_the_list(sandbox: RunningSandbox) -> list[str]:
    """Create 2,000 exports, and return the newest finished one of each report, oldest first."""
    newest: dict[str, str] = {}
    for number in range(PAGES * PAGE_SIZE - 2):
        created_at = _BEGIN + timedelta(hours=number)
        if number % 10 == 9:
            _create(sandbox, created_at, "contacts", "")
            continue
        title = TITLES[number % len(TITLES)]
        newest.pop(title, None)
        newest[title] = _create(sandbox, created_at, "data-explorer", title)
    later = _BEGIN + timedelta(days=100)
    _create(sandbox, later, "data-explorer", FAILED, fail=True)
    _create(sandbox, later, "data-explorer", RUNNING, options={"seconds_per_export": 1e9})
    return list(newest.values())


def _create(sandbox: RunningSandbox, created_at: datetime, export_type: str, title: str, **more: object) -> str:
    day = created_at.date().isoformat()
    filters = {"reportId": f"{TITLES.index(title):024x}", "fromDate": day, "toDate": day} if title else {}
    return sandbox.create_in_app(
        {"exportType": export_type, "createdAt": created_at.isoformat(), "title": title, "filters": filters, **more}
    )
