"""The sections of the benchmark, a file each, which has a `SECTION`."""
