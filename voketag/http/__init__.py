"""HTTP: routes as data, problems, OpenAPI, server-sent events."""
