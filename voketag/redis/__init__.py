"""Redis: the streams and what lies beside them. Nothing else here speaks to Redis."""
