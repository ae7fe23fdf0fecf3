"""The auditor: breaks a running VokeTag in every way it can, then counts what is left."""
