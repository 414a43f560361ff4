# SPDX-License-Identifier: Apache-2.0
"""Realistic rows for each type of export, always the same for the same export.

The columns are invented: real ones depend on the store. The rows contain what breaks careless readers: delimiters,
quotes and line breaks within fields, accents, empty fields.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from airflow_provider_connectif.sandbox.options import SAMPLE_ACTIVITY_TYPES

_NAMES = ("Zoë", "José Ángel", "Łukasz", "Anna", "Søren", "Chloé", "Iñaki", "Marta", "Jürgen", "Begoña", "Li")
_SURNAMES = ("García, Pérez", "Núñez", "O'Brien", 'Smith "Jr."', "Müller", "Åkesson", "Fernández", "Dvořák")
_CITIES = ("Valencia", "A Coruña", "München", "Kraków", "São Paulo", "'s-Hertogenbosch", "", "Málaga; Centro")
_NOTES = ("", "", "", "Prefers e-mail", "Called twice,\nno answer", 'Said "maybe"; ask', "Línea 1\nLínea 2")
_PRODUCTS = (
    'Monitor 27" IPS',
    "Camiseta algodón, azul",
    "Café molido; 250 g",
    "Set of 3 bowls\n(oven-safe)",
    "Sneakers «Río»",
    "Crème hydratante",
)
_DOMAINS = ("example.com", "example.org", "example.net")


@dataclass(frozen=True)
class DataSpec:
    """Everything that the rows of an export depend on.

    :param start: start of the period, inclusive
    :param end: end of the period, exclusive
    """

    export_id: str
    export_type: str
    version: int
    date_format: str
    start: datetime
    end: datetime
    activity_types: tuple[str, ...] = ()
    rows: int = 100
    revision: int = 0
    contact_fields: tuple[str, ...] = ()
    report_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """The content of a CSV file: the suffix of its name, its columns, and its rows, which are generated lazily."""

    suffix: str
    columns: list[str]
    rows: Callable[[], Iterator[list[str]]]
    quote_all: bool = False


def tables(spec: DataSpec) -> list[Table]:
    """Return the tables of an export: two for activities, one for every other type."""
    if spec.export_type == "contacts":
        return [Table("", [*_contact_columns(spec.version), *spec.contact_fields], lambda: _contacts(spec))]
    if spec.export_type == "activities":
        return [
            Table("", _activity_columns(spec.version), lambda: (row for row, _ in _activities(spec))),
            Table("-products", _PRODUCT_COLUMNS, lambda: _activity_products(spec)),
        ]
    if spec.export_type == "data-explorer":
        return [Table("", list(spec.report_columns or _REPORT_COLUMNS), lambda: _report(spec), quote_all=True)]
    return [Table("", _STATS_COLUMNS, lambda: _stats(spec))]


def format_date(timestamp: datetime, date_format: str) -> str:
    """Format a datetime in one of the API's date formats: ``ISO``, or Moment.js's ``L``, ``LL`` or ``LLL``."""
    if date_format == "L":
        return f"{timestamp:%m/%d/%Y}"
    if date_format == "LL":
        return f"{timestamp:%B} {timestamp.day}, {timestamp.year}"
    if date_format == "LLL":
        return f"{timestamp:%B} {timestamp.day}, {timestamp.year} {int(f'{timestamp:%I}')}:{timestamp:%M %p}"
    return timestamp.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _random(spec: DataSpec, table: str) -> random.Random:
    return random.Random(f"{spec.export_id}:{spec.revision}:{table}")


def _timestamps(spec: DataSpec, rng: random.Random) -> Iterator[datetime]:
    """Yield a timestamp for each row, in ascending order, within the requested dates."""
    step = (spec.end - spec.start) / max(spec.rows, 1)
    if step <= timedelta(0):
        return
    for index in range(spec.rows):
        yield spec.start + (index + rng.random() * 0.999) * step


_CONTACT_COLUMNS = [
    ("email", 1),
    ("name", 1),
    ("surname", 1),
    ("city", 1),
    ("newsletterSubscriptionStatus", 1),
    ("createdAt", 1),
    ("notes", 1),
    ("mobilePhone", 2),
    ("smsSubscriptionStatus", 2),
    ("points", 3),
    ("totalPurchases", 4),
    ("totalAmount", 4),
    ("lastVisitAt", 5),
    ("language", 6),
]
_RENAMED_IN_5 = {"name": "firstName", "surname": "lastName"}


def _contact_columns(version: int) -> list[str]:
    names = [name for name, since in _CONTACT_COLUMNS if since <= version]
    return [_RENAMED_IN_5.get(name, name) for name in names] if version >= 5 else names


def _contacts(spec: DataSpec) -> Iterator[list[str]]:
    rng, field_rng = _random(spec, "contacts"), _random(spec, "contact fields")
    width = len(_contact_columns(spec.version))
    for timestamp in _timestamps(spec, rng):
        day = format_date(timestamp, spec.date_format)
        row = [
            f"{rng.getrandbits(40):010x}@{rng.choice(_DOMAINS)}",
            rng.choice(_NAMES),
            rng.choice(_SURNAMES),
            rng.choice(_CITIES),
            rng.choice(("subscribed", "notSubscribed", "unsubscribed")),
            day,
            rng.choice(_NOTES),
            f"+346{rng.randrange(10**8):08d}",
            rng.choice(("subscribed", "notSubscribed")),
            str(rng.randrange(5000)),
            str(rng.randrange(40)),
            f"{rng.randrange(200000) / 100:.2f}",
            day,
            rng.choice(("es", "en", "de", "fr")),
        ]
        yield row[:width] + [field_rng.choice(("", "gold", "Plata; 2")) for _ in spec.contact_fields]


_ACTIVITY_COLUMNS = [
    ("activityId", 1),
    ("type", 1),
    ("date", 1),
    ("contactEmail", 1),
    ("purchaseId", 1),
    ("amount", 1),
    ("detail", 1),
    ("deviceType", 2),
    ("url", 3),
    ("couponCode", 4),
    ("currency", 5),
    ("trackerId", 6),
]
_PRODUCT_COLUMNS = ["activityId", "purchaseId", "productId", "name", "quantity", "unitPrice"]


def _activity_columns(version: int) -> list[str]:
    return [name for name, since in _ACTIVITY_COLUMNS if since <= version]


def _activities(spec: DataSpec) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Yield each activity's row with the rows of its products, which only purchases have."""
    rng = _random(spec, "activities")
    kinds = spec.activity_types or SAMPLE_ACTIVITY_TYPES
    width = len(_activity_columns(spec.version))
    for timestamp in _timestamps(spec, rng):
        kind = rng.choice(kinds)
        activity = f"{rng.getrandbits(96):024x}"
        purchase = f"{rng.randrange(10**7):07d}" if kind == "purchase" else ""
        products = []
        amount = 0
        for _ in range(rng.randrange(1, 4) if purchase else 0):
            price, quantity = rng.randrange(100, 20000), rng.randrange(1, 4)
            amount += price * quantity
            products.append(
                [
                    activity,
                    purchase,
                    f"SKU-{rng.randrange(5000):05d}",
                    rng.choice(_PRODUCTS),
                    str(quantity),
                    f"{price / 100:.2f}",
                ]
            )
        row = [
            activity,
            kind,
            format_date(timestamp, spec.date_format),
            f"{rng.getrandbits(40):010x}@{rng.choice(_DOMAINS)}",
            purchase,
            f"{amount / 100:.2f}" if purchase else "",
            rng.choice(_NOTES),
            rng.choice(("desktop", "mobile", "tablet")),
            f"https://shop.example.com/p/{rng.randrange(5000)}",
            rng.choice(("", "", "WELCOME10")),
            "EUR",
            f"{rng.getrandbits(32):08x}",
        ]
        yield row[:width], products


def _activity_products(spec: DataSpec) -> Iterator[list[str]]:
    for _, products in _activities(spec):
        yield from products


_REPORT_COLUMNS = ["Date", "Product ID", "Product name", "Purchases", "Units", "Total amount"]


def _report(spec: DataSpec) -> Iterator[list[str]]:
    rng = _random(spec, "report")
    for timestamp in _timestamps(spec, rng):
        purchases = rng.randrange(1, 50)
        cells = [
            f"{timestamp:%Y-%m-%d}",
            f"SKU-{rng.randrange(5000):05d}",
            rng.choice(_PRODUCTS),
            str(purchases),
            str(purchases * rng.randrange(1, 4)),
            f"{rng.randrange(500000) / 100:.2f}",
        ]
        by_title = dict(zip(_REPORT_COLUMNS, cells, strict=True))
        yield [by_title.get(title) or str(rng.randrange(1000)) for title in spec.report_columns or _REPORT_COLUMNS]


_STATS_COLUMNS = ["date", "id", "name", "sent", "opened", "clicked"]


def _stats(spec: DataSpec) -> Iterator[list[str]]:
    rng = _random(spec, "stats")
    for timestamp in _timestamps(spec, rng):
        sent = rng.randrange(10000)
        opened = rng.randrange(sent + 1)
        yield [
            format_date(timestamp, spec.date_format),
            f"{rng.getrandbits(96):024x}",
            rng.choice(("Rebajas, verano", "Bienvenida", 'Pop-up "10 %"')),
            str(sent),
            str(opened),
            str(rng.randrange(opened + 1)),
        ]
