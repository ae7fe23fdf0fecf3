"""Formats of an export: chosen by Accept, readable by anyone's reader."""

from __future__ import annotations

import csv
import io
import json

import pytest

from voketag.batches.answers import ProductLine
from voketag.batches.export_formats import CSV, NDJSON, ExportFormat, accepted


def lines(*serials: str) -> list[ProductLine]:
    return [ProductLine(f"id{n}", serial, f"T{n}", f"u/{n}") for n, serial in enumerate(serials)]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, NDJSON),
        ("", NDJSON),
        ("*/*", NDJSON),
        ("text/csv", CSV),
        ("Text/CSV; charset=utf-8", CSV),
        ("text/*", CSV),
        ("application/x-ndjson", NDJSON),
        ("application/*", NDJSON),
        ("text/csv, */*;q=0.1", CSV),
        ("text/csv;q=0.5, application/x-ndjson;q=0.4", CSV),
        ("text/csv, application/x-ndjson", NDJSON),
        ("application/x-ndjson;q=0, */*", CSV),
        ("text/html, */*;q=0.8", NDJSON),
        ("application/json", None),
        ("text/csv;q=0", None),
        ("text/csv;q=much", None),
        ("nonsense", None),
    ],
)
def test_accept_is_weighed(accept: str | None, expected: ExportFormat | None) -> None:
    assert accepted(accept) is expected


def test_ndjson_is_one_object_a_line() -> None:
    text = NDJSON.lines(lines('a"b', "=1+1")).decode()
    assert text.endswith("\n")
    assert [json.loads(line)["serial"] for line in text.splitlines()] == ['a"b', "=1+1"]
    assert NDJSON.head == b""


def test_csv_survives_quotes_commas_and_letters() -> None:
    serials = ['a"b', "c,d", "é☃", " e ", "f'g"]
    text = (CSV.head + CSV.lines(lines(*serials))).decode()
    assert text.count("\r\n") == len(serials) + 1
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["serial"] for row in rows] == serials
    assert set(rows[0]) == {"product_id", "serial", "token", "verification_url"}


@pytest.mark.parametrize("serial", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)"])
def test_a_spreadsheet_is_given_no_formula(serial: str) -> None:
    text = CSV.lines(lines(serial)).decode()
    (row,) = csv.reader(io.StringIO(text, newline=""))
    assert row[1] == "'" + serial
