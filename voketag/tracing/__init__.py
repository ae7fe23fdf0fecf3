"""Traces that are made and sent, loaded where a setting asks for them."""
