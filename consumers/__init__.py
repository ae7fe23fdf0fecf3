"""The consumer groups, each a process. A new one is one file and one Procfile line."""
