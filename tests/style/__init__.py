"""House rules that run: what may import what, how long things may grow, and that the documents tell the truth."""
