"""A second exchange, slow and plain: the executable reading of docs/engine.md that the kernels are held against.

It shares with `exchange/core` the codes and the field names of the records, and nothing else. It is written to be read:
dicts, sorted dicts, dataclasses, unbounded integers and fractions, exceptions for refusals, and a ledger that is
computed from the events alone.

    oracle = Oracle()
    events = oracle.apply(command)      a dict as `command_dict` gives it -> dicts as `event_dict` does
    rows = oracle.canonical()           section 7: {table: sorted rows of integers}

Where to look: `exchange.py` takes commands, `venue.py` is the state, `reference.py` section 3, `judging.py`,
`placing.py`, `walking.py`, `matching.py` and `prevention.py` sections 4.1, 4.3 and 11, `withdrawing.py` and
`ticking.py` 4.4 and 4.5, `transfers.py` and `clearing.py` section 5, `canonical.py` sections 7, 17 and 25;
`triggers.py` and `turns.py` sections 12 and 13, `pegs.py` 14, `lists.py` and `closing.py` 15; `rules.py` and
`guards.py` section 20, `auction.py` 21, `breaker.py` 22, `sweeping.py` 23, `skipping.py` 24.
"""

from tests.oracle.exchange import Oracle, Stopped

__all__ = ["Oracle", "Stopped"]
