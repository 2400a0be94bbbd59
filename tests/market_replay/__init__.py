"""Recorded market days."""
