"""The client of the scan service: what a phone's app, or a server that speaks for one, does."""

from __future__ import annotations

from uuid import UUID

from voketag import identifiers
from voketag.client.errors import ProblemError
from voketag.client.transport import Call, HttpClient, encoded, segment
from voketag.events import ReportReason
from voketag.scans.answers import ReportAnswer, ScanAnswer, ScanRecord
from voketag.scans.requests import Device, Where


class ScanClient(HttpClient):
    """`ScanClient("https://scan.example.com")`; see HttpClient for the other parameters."""

    async def scan(
        self,
        token: str,
        *,
        country: str | None = None,
        location: Where | None = None,
        device: Device | None = None,
        scan_id: UUID | str | None = None,
        forwarded_for: str | None = None,
    ) -> ScanAnswer:
        """Scan a token; the answer says that the scan is kept.

        A scan has an id, so that it counts once however often it is sent: one is made here, at the
        time of the call. Whoever keeps scans while there is no network makes it when the product
        is scanned (`voketag.identifiers.new_id()`) and gives it: up to 7 days later it will do.

        `forwarded_for` is the phone's address where a server speaks for it; the service believes
        it from the proxies of VOKETAG_TRUSTED_PROXIES alone.
        """
        body = encoded(
            {
                "token": token,
                "scan_id": str(scan_id or identifiers.new_id()),
                "country": country,
                "location": location,
                "device": device,
            }
        )
        headers = {} if forwarded_for is None else {"X-Forwarded-For": forwarded_for}
        answer = await self.ask(Call("POST", "/v1/scans", body=body, headers=headers))
        return answer.as_a(ScanAnswer)

    async def scan_of_record(self, scan_id: UUID | str) -> ScanRecord | None:
        """A scan as it stands in the record, with what the person was told; None before it is
        stored, which takes a moment.
        """
        try:
            answer = await self.ask(Call("GET", f"/v1/scans/{segment(scan_id)}"))
        except ProblemError as error:
            if error.status == 404:
                return None
            raise
        return answer.as_a(ScanRecord)

    async def report(
        self,
        reason: ReportReason,
        *,
        token: str | None = None,
        scan_id: UUID | str | None = None,
        description: str | None = None,
        email: str | None = None,
    ) -> UUID:
        """Report a product by its token, or by a scan of it that is stored; gives the report's id.

        The same report from the same address is kept once a day, so it may be sent again.
        """
        body = encoded(
            {
                "reason": reason,
                "token": token,
                "scan_id": None if scan_id is None else str(scan_id),
                "description": description,
                "email": email,
            }
        )
        answer = await self.ask(Call("POST", "/v1/reports", body=body))
        return answer.as_a(ReportAnswer).report_id
