"""The factory's OpenAPI document, held against the service by schemathesis."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.erp import anchor, serving
from tests.test_openapi import schemathesis


@pytest.mark.timeout(300)
async def test_the_service_does_what_its_document_says(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    async with serving(redis_url, database_url) as service:
        erp = await service.erp()
        await anchor(service.wires, await erp.create_stored(product_count=3))
        await schemathesis(
            service.port,
            tmp_path,
            f"--header=Authorization: Bearer {erp.key}",
            "--exclude-path=/v1/events",  # never ends
        )
