"""What people who run VokeTag use: its HTTP API, the dashboard and the command line."""
