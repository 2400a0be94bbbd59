"""A spot exchange in one process: sequencer, journal, engine, REST and WebSocket edges."""

__version__ = "0.1.0"
