"""SQL that speaks of the projection's schemas, made to speak of the same schemas under other names.

Owns the substitution. The three schemas are a projection of the event journal; all others are truth and keep theirs.
"""

from __future__ import annotations

import re

PROJECTED = ("exchange_order", "exchange_clearing", "exchange_market")
REBUILD = "_rebuild"
"""Suffix of the schemas that a rebuild fills beside the live ones."""
OLD = "_old"
"""Suffix of those that it has replaced and that are about to go."""
_NAME = re.compile(rf"\b({'|'.join(PROJECTED)})\b")


def renamed(sql: str, suffix: str) -> str:
    """The text with `suffix` behind the name of each of the three schemas."""
    return _NAME.sub(rf"\g<1>{suffix}", sql)
