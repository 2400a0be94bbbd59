"""Which errors of PostgreSQL pass by themselves: the policy, by SQLSTATE class.

Owns the one decision that the projector and the request handlers share. An error that is not known to pass is ours: a
row that does not fit, a constraint, a statement that is wrong; it is never retried and never skipped.

Source: PostgreSQL, appendix "Error Codes".
"""

from __future__ import annotations

import asyncpg

PASSING_CLASSES = {
    "08": "connection",
    "25": "read-only server, or a transaction that was ended",  # 25006, 25P03
    "28": "authentication",  # passwords and certificates are rotated
    "40": "serialization, deadlock",
    "53": "resources: disk, memory, connections",
    "55": "lock not available, object in use",
    "57": "operator: shutdown, crash, cancel, timeout",
    "58": "input or output of the server",
}
PASSING = {"3D000": "the database is not there, yet or again"}
_CONNECTION = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg and the socket raise when there is no server to give an SQLSTATE; asyncpg's ValueErrors are ours. The
internal error is what it says of a connection in the pool that was lost in the middle of a statement."""


def passes(error: BaseException) -> bool:
    """Whether to try again later is right: the server, the network or the operator is in the way, not our data."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return state[:2] in PASSING_CLASSES or state in PASSING
    return isinstance(error, _CONNECTION) and not isinstance(error, ValueError)


def explain(error: BaseException) -> str:
    """An error in one line, with its SQLSTATE where it has one. The server never repeats values of ours in it."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    words = (str(error).splitlines() or [type(error).__name__])[0]
    return f"{error.sqlstate}: {words}" if isinstance(error, asyncpg.PostgresError) else words
