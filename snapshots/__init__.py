"""Atomic, verified sets of named arrays at a sequence; knows nothing of what the arrays mean.

`docs/journal.md` describes the file. `write` and `retain` change a directory; `list_snapshots`, `load`, `verify` read.
"""

from snapshots.format import Corrupt, Snapshot
from snapshots.store import list_snapshots, load, retain, sequence_of, verify, write

__all__ = ["Corrupt", "Snapshot", "list_snapshots", "load", "retain", "sequence_of", "verify", "write"]
