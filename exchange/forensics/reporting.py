"""The commands without their options: what each finds in a data directory, as plain values for text or JSON.

Owns beginning anew when a running server retires files under a reader, and the default sequence: the last command.
"""

from __future__ import annotations

import time
from pathlib import Path

from exchange import past
from exchange.core.hashing import state_hash
from exchange.forensics import auditing, inspecting
from exchange.forensics import life as lives
from exchange.forensics.event_words import hash_text
from exchange.forensics.names import Fields
from exchange.forensics.reading import moment, state_fields
from exchange.progress import ShowProgress


def _end(data_dir: Path, until: int | None) -> int:
    return past.last_sequence(past.commands_of(data_dir)) if until is None else until


def replay(data_dir: Path, until: int | None, progress: ShowProgress, *, with_hash: bool, from_genesis: bool) -> Fields:
    """Where the state at a sequence stands. Raises past.NotThere, past.ReplayDiffers, Refused, OSError."""
    end = _end(data_dir, until)
    began_s = time.monotonic()
    done = past.retried(lambda: past.replay_until(data_dir, end, progress, from_genesis=from_genesis))
    found = state_fields(done.engine.state)
    found |= {
        "replayed_from": done.base_sequence,
        "replayed_s": round(time.monotonic() - began_s, 3),
        "hashes_checked": done.hashes,
    }
    if with_hash:
        found["hash"] = hash_text(*map(int, state_hash(done.engine.state)))
    return found


def inspect(data_dir: Path, sequence: int, levels: int, progress: ShowProgress) -> Fields:
    """One command with what is around it. Raises past.NotThere, past.ReplayDiffers, Refused, OSError."""
    return inspecting.inspection(past.retried(lambda: moment(data_dir, sequence, progress)), levels)


def life(data_dir: Path, order_id: int, progress: ShowProgress) -> Fields:
    """The life of an order. Raises past.NotThere, past.ReplayDiffers, Refused, OSError."""
    return past.retried(lambda: lives.life(data_dir, order_id, progress))


def refused(data_dir: Path, sequence: int, progress: ShowProgress) -> Fields:
    """Why a command was refused. Raises past.NotThere, past.ReplayDiffers, Refused, OSError."""
    return lives.refused(past.retried(lambda: moment(data_dir, sequence, progress)))


def audit(data_dir: Path, until: int | None, every: int, progress: ShowProgress, *, from_genesis: bool) -> Fields:
    """What an audit found. Raises past.NotThere, past.ReplayDiffers, Refused, OSError."""
    end = _end(data_dir, until)
    found = past.retried(lambda: auditing.audit(data_dir, end, every, progress, from_genesis=from_genesis))
    return {**found._asdict(), "broken": found.broken._asdict() if found.broken else None}
