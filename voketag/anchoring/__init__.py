"""Anchoring: from batch roots to final transactions, whatever the chain does."""
