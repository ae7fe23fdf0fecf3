"""Daily statistics of a time through the HTTP door of ops."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.administration import Admin, admin_on

TODAY = datetime.now(UTC).date()
OF_F, OF_G, OF_NOBODY = UUID(int=1), UUID(int=2), UUID(int=0)


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


async def count(admin: Admin, day: date, factory_id: UUID, scans: int, unknown: int = 0) -> None:
    async with admin.wires.database.connection() as connection:
        await connection.execute(
            "INSERT INTO scan_stats_daily (day, factory_id, scans, risk_score_sum, authentic, "
            "not_recognised) VALUES ($1, $2, $3, $4, $5, $6)",
            day,
            factory_id,
            scans,
            scans * 20,
            scans - unknown,
            unknown,
        )


async def days(admin: Admin, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await admin.ask("GET", f"/v1/stats/daily?{query}"))["days"]
    return found


async def test_days_are_given_from_old_to_new_of_all_factories_or_one(admin: Admin) -> None:
    before = TODAY - timedelta(days=3)
    await count(admin, before, OF_F, 4)
    await count(admin, before, OF_G, 6)
    await count(admin, TODAY, OF_NOBODY, 5, unknown=5)
    found = await days(admin, f"from={before}&to={TODAY}")
    assert [one["day"] for one in found] == [str(before + timedelta(days=n)) for n in range(4)]
    assert [one["scans"] for one in found] == [10, 0, 0, 5]
    assert [one["avg_risk_score"] for one in found] == [20, None, None, None]
    of_f = await days(admin, f"from={before}&factory_id={OF_F}")
    assert [one["scans"] for one in of_f] == [4, 0, 0, 0]
    assert len(await days(admin, "")) == 30
    assert (await days(admin, ""))[-1]["day"] == str(TODAY)


async def test_a_spreadsheet_gets_the_same(admin: Admin) -> None:
    await count(admin, TODAY, OF_F, 4)
    first = TODAY - timedelta(days=1)
    query = f"from={first}&to={TODAY}"
    async with admin.session.get(f"/v1/stats/daily.csv?{query}", headers=admin.headers) as answer:
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        name = f"voketag-daily-{first}-{TODAY}.csv"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
        table = list(csv.DictReader(io.StringIO(await answer.text(), newline="")))
    for row, day in zip(table, await days(admin, query), strict=True):
        assert row == {name: "" if value is None else str(value) for name, value in day.items()}
    assert [row["avg_risk_score"] for row in table] == ["", "20.0"]


async def test_of_days_to_come_nothing_is_said(admin: Admin) -> None:
    later = TODAY + timedelta(days=9)
    assert (await days(admin, f"from={TODAY}&to={later}"))[-1]["day"] == str(TODAY)
    assert await days(admin, f"from={later}&to={later}") == []


async def test_what_is_no_time(admin: Admin) -> None:
    yesterday = TODAY - timedelta(days=1)
    long_ago = TODAY - timedelta(days=366)
    for query in (
        f"from={TODAY}&to={yesterday}",
        f"from={long_ago}&to={TODAY}",
        "from=yesterday",
        "factory_id=x",
    ):
        await admin.refused("GET", f"/v1/stats/daily?{query}", None, 422)
    assert len(await days(admin, f"from={long_ago + timedelta(days=1)}")) == 366
    assert await days(admin, "from=0001-01-01&to=0001-01-02")
    assert await days(admin, "to=0001-01-02")
