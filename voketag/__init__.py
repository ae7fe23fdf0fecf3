"""VokeTag proves that a physical product is genuine."""
