"""A database and a Redis that fill up, and what is asked of them meanwhile."""
