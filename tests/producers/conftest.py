"""A factory service on real servers, and one factory's ERP at it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.erp import Erp, Service, serving


@pytest.fixture
async def service(redis_url: str, database_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url, database_url) as running:
        yield running


@pytest.fixture
async def erp(service: Service) -> Erp:
    return await service.erp()
