"""Clients that we did not write, against a running exchange."""
