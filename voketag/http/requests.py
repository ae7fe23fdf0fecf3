"""Reading a request: its body, query, path and credentials, each checked, each fault a Problem."""

from __future__ import annotations

import asyncio
from typing import TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from aiohttp import StreamReader, web

from voketag.http.problems import Problem, not_found, unauthorised

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
FORM_FIELDS_MAX = 16
BODY_MAX_BYTES = 8 * 1024
# A body has this long, and longer by what has come of it at this rate: a large one takes its time,
# and whoever sends a byte now and then is not waited for.
BODY_WITHIN_S = 10.0
BODY_LEAST_BYTES_A_SECOND = 256 * 1024

Body = TypeVar("Body")


async def read_body(
    request: web.Request, decoder: msgspec.json.Decoder[Body], max_bytes: int = BODY_MAX_BYTES
) -> Body:
    """The JSON body, checked against the decoder's type.

    Raises Problem: 415 for another media type, 413 for too many bytes, 408 for too slow a body, 400
    for what is not JSON, 422 for JSON of another shape.
    """
    raw = await read_bytes(request, max_bytes)
    return decode_body(raw, decoder)


async def read_form(request: web.Request, max_bytes: int) -> dict[str, str]:
    """The fields of a form that a browser posts, each once: of several the last.

    Raises Problem: as `read_body`, and 400 for what is not a form of few fields in UTF-8.
    """
    raw = await read_bytes(request, max_bytes, FORM)
    try:
        text = raw.decode("ascii")
        fields = parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=FORM_FIELDS_MAX
        )
    except ValueError:
        most = f"A form of at most {FORM_FIELDS_MAX} fields in UTF-8 is accepted."
        raise Problem(400, "malformed_form", most) from None
    return dict(fields)


async def read_bytes(
    request: web.Request, max_bytes: int = BODY_MAX_BYTES, media_type: str = JSON
) -> bytes:
    """The raw body of a request of `media_type`; see `read_body`."""
    if request.content_type != media_type:
        raise Problem(415, "unsupported_media_type", f"Content-Type: {media_type} is accepted.")
    if (request.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    try:
        return await _receive(request.content, max_bytes)
    except TimeoutError:
        detail = (
            f"A body has to arrive within {BODY_WITHIN_S:.0f} seconds, or at no less than "
            f"{BODY_LEAST_BYTES_A_SECOND} bytes a second."
        )
        raise Problem(408, "body_too_slow", detail, {"Connection": "close"}) from None
    except web.RequestPayloadError:
        detail = "The body is not what Content-Encoding and Transfer-Encoding say."
        raise Problem(400, "malformed_body", detail, {"Connection": "close"}) from None


async def _receive(content: StreamReader, max_bytes: int) -> bytes:
    """All of a body, in time. Raises TimeoutError, and Problem 413."""
    if content.is_eof():  # it came with the head, as small ones do
        return whole_body(content, max_bytes)
    chunks, size = [], 0
    async with asyncio.timeout(BODY_WITHIN_S) as patience:
        latest_s = patience.when()
        assert latest_s is not None
        async for chunk in content.iter_any():
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(max_bytes)
            chunks.append(chunk)
            patience.reschedule(latest_s + size / BODY_LEAST_BYTES_A_SECOND)
    return b"".join(chunks)


def whole_body(content: StreamReader, max_bytes: int = BODY_MAX_BYTES) -> bytes:
    """A body that has arrived completely. Raises Problem 413."""
    raw = content.read_nowait()
    if len(raw) > max_bytes:
        raise _too_large(max_bytes)
    return raw


def decode_body(raw: bytes, decoder: msgspec.json.Decoder[Body]) -> Body:
    """A JSON body as the decoder's type; see `read_body`."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise Problem(422, "invalid_field", f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, "malformed_json", f"The body is not UTF-8 JSON: {error}.") from None
    except RecursionError:
        raise Problem(400, "malformed_json", "The body is nested too deeply.") from None


def read_query(request: web.Request, kind: type[Body]) -> Body:
    """The query string as a msgspec Struct of optional members. Raises Problem 422."""
    try:
        return msgspec.convert(dict(request.query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(422, "invalid_parameter", f"In the query string: {error}.") from None


def path_id(request: web.Request, name: str = "id") -> UUID:
    """A UUID in the path. What is no UUID names nothing: Problem 404."""
    try:
        return UUID(request.match_info[name])
    except ValueError:
        raise not_found() from None


def bearer(request: web.Request) -> str:
    """The bearer token of a request. Raises Problem 401."""
    given = request.headers.getall("Authorization", ())
    scheme, _, credential = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not credential:
        raise unauthorised("Authorization: Bearer <key> is needed.")
    return credential.strip()


def _too_large(max_bytes: int) -> Problem:
    return Problem(413, "body_too_large", f"At most {max_bytes} bytes are accepted.")
