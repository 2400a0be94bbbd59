"""Benchmarks that check their result before they print a figure; `make bench` runs them all."""
