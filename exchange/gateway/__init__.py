"""The REST edge: authenticates, scales decimals, submits commands and writes answers.

Owns everything between a byte from a client and a 128-byte command, and back. Never decides anything about money or
orders: the engine does, and recomputes whatever is checked here. What is refused here never reaches the ring, so the
engine's sequence does not move.
"""
