"""What a phone sends and what it is answered: the types of the scan API."""
