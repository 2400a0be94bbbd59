"""Rings, sequences and the loops between them: how a command becomes durable, is applied, and is answered."""
