"""Tools that only a deterministic log can give: replay, inspect, diff, why, audit (docs/forensics.md).

Owns looking back. Reads the files of a data directory, also while a server runs on it; never writes, never locks.

    past.py (states) ──► reading (a command between two states, events) ──► inspecting, differing, life, auditing
                         names, words, command_words, event_words, refusals: what they say
"""
