"""The REST edge: its small parts alone, and the whole of it over real sockets."""
