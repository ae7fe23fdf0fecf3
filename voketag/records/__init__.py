"""Postgres: every SQL statement as a named function, by noun. Each takes a connection first."""
