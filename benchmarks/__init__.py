"""What is measured: VokeTag, its parts, and the systems it is measured against."""
