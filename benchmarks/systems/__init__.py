"""The systems that are measured, each started in an empty folder with servers of its own."""
