"""What a run has found: as a table, as JSON that a later run may add to, and as a picture."""
