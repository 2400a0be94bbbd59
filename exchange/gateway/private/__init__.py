"""Private events: what happens to one account, as JSON, in order, numbered, and again from any number on.

    event ring ──► pick (compiled) ──► Mirror of the account ──► one encoding a unit of time ──► every sink
    event journal ──► the same Mirror, wound back ──► the same bytes ──► who resumes

Owns the words of executionReport, outboundAccountPosition, balanceUpdate and eventStreamTerminated, their sequence, and
resuming. Never opens a socket, never asks the engine about anything but where it stands. docs/private-events.md is for
those who listen.
"""
