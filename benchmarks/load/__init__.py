"""An HTTP/1.1 load generator that costs little, since it shares the machine with what it measures.

It runs as a process of its own: `python -m benchmarks.load` reads a `Load` as JSON and writes a
`Measured`; `driving.drive` starts that process and waits for it.
"""
