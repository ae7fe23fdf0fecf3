"""The OpenAPI 3.1 document of a process, made from its route table and the msgspec types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from voketag.http.examples import example
from voketag.http.problems import ProblemDetails, details
from voketag.http.routes import Route
from voketag.roles import MEANINGS
from voketag.tokens import EXAMPLE_TOKEN

_PARAMETER = re.compile(r"\{(\w+)\}")
_REFERENCE = "#/components/schemas/{name}"
_INTRODUCTION = """\
JSON in UTF-8; times are RFC 3339 in UTC, ids are UUIDv7. An error is `application/problem+json`
(RFC 9457): `code` is stable and what a program decides by, `detail` is a sentence for a person.
Every answer has `X-Request-Id`, which finds it in our log. After 429 and 503 wait as long as
`Retry-After` says.

The examples can be sent as they are. Their ids, keys and tokens are made up: well formed, and
nobody's. So a path with such an id is answered 404, and a scan of such a token `not_recognised`.
"""
_CODES = {
    400: "malformed_json",
    401: "unauthorised",
    403: "forbidden",
    404: "not_found",
    406: "not_acceptable",
    408: "body_too_slow",
    409: "conflict",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_field",
    429: "too_many_requests",
    503: "unavailable",
}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds to wait before the next request.",
        "schema": {"type": "integer", "minimum": 0},
    }
}
_SHOWN_IN_PATHS = {
    "id": "0199c8f1-6f00-7a4b-9d3e-5f1c2b7a8e90",
    "token": EXAMPLE_TOKEN,
    "stream": "roots",
    "entry_id": "1772352000000-0",
}
SESSION_COOKIE = "voketag_session"
SESSION_HEADER = "X-VokeTag-Session"
_SCHEMES: dict[str, dict[str, str]] = {
    "factory": {"type": "http", "scheme": "bearer", "description": "A factory's API key."},
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "The admin key, or an operator's key, which has one of these roles: "
        + "; ".join(f"`{role}` {meaning}" for role, meaning in MEANINGS.items())
        + ".",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "What `POST /v1/session` gives for such a key; over TLS its name begins "
        f"with `__Host-`. What is no GET needs the header `{SESSION_HEADER}: 1` as well, and a "
        "page of the same origin.",
    },
}
_SESSION_HEADER = "1; needed where a session's cookie is what authorises the request."
_DESCRIPTIONS = {
    400: "The request is malformed.",
    401: "The key is missing, unknown, revoked or expired.",
    403: "The role does not allow this, or another site asks for it in a session's name.",
    404: "There is nothing with this id.",
    406: "None of the media types in Accept is offered.",
    408: "The body came too slowly.",
    409: "The state does not allow this.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "A value is not acceptable; the detail says what is.",
    429: "Too many requests; see Retry-After.",
    503: "A server we need is not there; see Retry-After.",
}


def document(title: str, routes: Iterable[Route]) -> dict[str, Any]:
    """The OpenAPI document of these routes, as JSON-ready data."""
    routes = [route for route in routes if route.documented]
    types = [ProblemDetails]
    for route in routes:
        types += [kind for kind in (route.body, route.query) if kind is not None]
        types += [kind for kind in route.answers.values() if _is_type(kind)]
    _, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _operation(route, components)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    used = {name for route in routes for name in _schemes(route)}
    offered = {name: scheme for name, scheme in _SCHEMES.items() if name in used}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": _INTRODUCTION},
        "tags": [{"name": tag} for tag in dict.fromkeys(map(_tag, routes))],
        "paths": paths,
        "components": {
            "schemas": components,
            **({"securitySchemes": offered} if offered else {}),
        },
    }


def _tag(route: Route) -> str:
    """What a route is listed under: the noun of its path."""
    version, _, rest = route.path.removeprefix("/").partition("/")
    if version == "v1":
        return rest.partition("/")[0]
    return "process" if "{" not in route.path else "pages"


def _is_type(answer: Any) -> bool:
    return answer is not None and not isinstance(answer, str)


def _schema(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REFERENCE)
    return schema


def _operation(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, answer in route.answers.items():
        responses[str(status)] = _answer(answer, components)
    for status in sorted(_problems(route)):
        responses[str(status)] = _problem(status)
    words = re.findall(r"\w+", route.path)
    operation: dict[str, Any] = {
        "summary": route.summary,
        "tags": [_tag(route)],
        "operationId": "_".join([route.method.lower(), *words]),
        "parameters": [*_path_parameters(route), *_query(route, components), *_headers(route)],
        "responses": responses,
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": route.body_required,
            "content": {"application/json": _body(route, components)},
        }
    if route.security is not None:
        # The roles of OpenAPI 3.1, section 4.8.30: each scheme will do.
        roles = [] if route.security == "factory" else [route.security]
        operation["security"] = [{name: roles} for name in _schemes(route)]
        if roles:
            operation["description"] = f"Needs the role `{route.security}`."
    return operation


def _schemes(route: Route) -> tuple[str, ...]:
    """The security schemes of a route, any one of which will do."""
    if route.security is None:
        return ()
    return ("factory",) if route.security == "factory" else ("key", "session")


def _body(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    """The schema of a body, and bodies to send."""
    schema = _schema(route.body)
    if not route.examples:
        return {"schema": schema, "example": example(schema, components)}
    examples = {
        f"example_{number}": {"summary": said, "value": body}
        for number, (said, body) in enumerate(route.examples.items(), 1)
    }
    return {"schema": schema, "examples": examples}


def _problem(status: int) -> dict[str, Any]:
    """An answer that is an error."""
    said = _DESCRIPTIONS[status]
    content = {
        "schema": {"$ref": _REFERENCE.format(name="ProblemDetails")},
        "example": msgspec.to_builtins(details(status, _CODES[status], said)),
    }
    answer: dict[str, Any] = {
        "description": said,
        "content": {"application/problem+json": content},
    }
    return answer | ({"headers": _RETRY_AFTER} if status in (429, 503) else {})


def _answer(answer: Any, components: dict[str, Any]) -> dict[str, Any]:
    if answer is None:
        return {"description": "Done; no body."}
    if isinstance(answer, str):
        content = {kind.strip(): {"schema": {"type": "string"}} for kind in answer.split(",")}
        return {"description": "Done.", "content": content}
    schema = _schema(answer)
    content = {"schema": schema, "example": example(schema, components)}
    return {"description": "Done.", "content": {"application/json": content}}


def _problems(route: Route) -> set[int]:
    statuses = set(route.problems)
    if route.body is not None:
        statuses |= {400, 408, 413, 415, 422}
    if route.query is not None:
        statuses.add(422)
    if route.security is not None:
        statuses |= {401, 429, 503}
    if "session" in _schemes(route):
        statuses.add(403)
    if "{" in route.path:
        statuses.add(404)
    if route.path == "/readyz":
        statuses.add(503)
    return statuses


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    parameters = []
    for name in _PARAMETER.findall(route.path):
        schema = {"type": "string"}
        if name in route.patterns:
            schema["pattern"] = f"^{route.patterns[name]}$"
        elif name == "id" or name.endswith("_id"):
            schema["format"] = "uuid"
        parameter: dict[str, Any] = {"name": name, "in": "path", "required": True, "schema": schema}
        if name in _SHOWN_IN_PATHS:
            parameter["example"] = _SHOWN_IN_PATHS[name]
        parameters.append(parameter)
    return parameters


def _query(route: Route, components: dict[str, Any]) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    shape = components[route.query.__name__]
    required = shape.get("required", ())
    parameters = []
    for name, schema in shape["properties"].items():
        parameter = {"name": name, "in": "query", "required": name in required, "schema": schema}
        for one in (schema, *schema.get("anyOf", ())):
            if "description" in one:
                parameter["description"] = one["description"]
        parameters.append(parameter)
    return parameters


def _headers(route: Route) -> list[dict[str, Any]]:
    request_id = "Given back in the answer and written into the logs; made where it is missing."
    headers: dict[str, str | Mapping[str, Any]] = {"X-Request-Id": request_id, **route.headers}
    if route.method != "GET" and "session" in _schemes(route):
        headers[SESSION_HEADER] = _SESSION_HEADER
    return [_header(name, said) for name, said in headers.items()]


def _header(name: str, said: str | Mapping[str, Any]) -> dict[str, Any]:
    """A header of any text, or one whose schema is given with its description."""
    schema = {"description": said} if isinstance(said, str) else dict(said)
    description = schema.pop("description")
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }
