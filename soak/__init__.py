"""The soak: constant load on a stack of its own, to see whether memory stays flat."""
