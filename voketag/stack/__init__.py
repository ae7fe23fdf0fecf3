"""The embedded servers and the supervisor: what `voketag run`, the demo and the tests start."""
