"""One file a section; each has a SECTION, and is found by that."""
