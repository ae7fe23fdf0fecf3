"""The ingress processes: what writes events into the streams."""
