"""What a call can raise. Each is an ApiError."""

from __future__ import annotations

from voketag.errors import VokeTagError


class ApiError(VokeTagError):
    """The API did not do what was asked; the message says what that was, and what came."""


class ProblemError(ApiError):
    """The service answered with an error (RFC 9457).

    `code` is stable and what a program decides by; it is empty where the answer was none of ours,
    such as a proxy's. `detail` is a sentence for a person and `field` names a bad value. With
    `request_id` the request can be found in the service's log. `retry_after_s` is how long the
    service asked to be left alone.
    """

    def __init__(
        self,
        asked: str,
        status: int,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        words = f"{asked}: answered {status} {code}".rstrip()
        super().__init__(f"{words}: {detail}" if detail else words)
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class TransportError(ApiError):
    """No answer came: there was no connection, it was lost, or the time was over.

    Where `sent` is False nothing was asked. Where it is True what was asked may have been done.
    """

    def __init__(self, asked: str, error: BaseException, *, sent: bool) -> None:
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        super().__init__(f"{asked}: {said}")
        self.sent = sent


class UnexpectedAnswer(ApiError):
    """An answer that is not what this version of the client knows; what was asked was done."""


class WaitTimeout(ApiError):
    """Something did not happen within its time; the message says what."""


class BatchFailed(ApiError):
    """A batch that was waited for has failed: it has no products, and never will."""
