"""The key that seals API secrets and 2FA seeds: given by the operator, or drawn once for a demo.

Owns `master.key` of the data directory (64 hex digits, mode 0600), which exists in demo mode only. The key itself is
never in the database, the journal, a log or an answer; without it what it sealed is lost.
"""

from __future__ import annotations

import pathlib
import re
import secrets
import stat

from exchange.datadir import replace_privately
from exchange.settings import MASTER_KEY_BYTES
from exchange.users.keys import KeysUnusable

FILE_NAME = "master.key"


def demo_master_key(path: pathlib.Path) -> bytes:
    """The key in `path`, which is made when it is not there. Raises KeysUnusable, OSError."""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        drawn = secrets.token_bytes(MASTER_KEY_BYTES)
        replace_privately(path, drawn.hex().encode() + b"\n")
        return drawn
    if stat.S_IMODE(mode) & 0o077:
        raise KeysUnusable(f"The master key in {path} can be read by others; run: chmod 600 {path}")
    if not re.fullmatch(rf"[0-9a-fA-F]{{{2 * MASTER_KEY_BYTES}}}\n?", text, re.ASCII):
        raise KeysUnusable(f"{path} does not hold {2 * MASTER_KEY_BYTES} hex digits; put the file back from a backup.")
    return bytes.fromhex(text)
