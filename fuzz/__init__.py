"""Decoders of what strangers send and of what lies in streams, tried with any bytes there are."""
