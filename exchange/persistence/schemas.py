"""The names of the projection's schemas: the live ones, and those that a rebuild fills beside them.

Owns the substitution in SQL text. The three schemas are a projection of the event journal; all other schemas are truth
and are never renamed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

PROJECTED = ("exchange_order", "exchange_clearing", "exchange_market")
REBUILD_SUFFIX = "_rebuild"
_NAME = re.compile(rf"\b({'|'.join(PROJECTED)})\b")


class Schemas(NamedTuple):
    """The set of schemas whose names end with `suffix`; the live ones have none."""

    suffix: str = ""

    def named(self, sql: str) -> str:
        """SQL text that speaks of the live schemas, made to speak of these."""
        return _NAME.sub(rf"\1{self.suffix}", sql) if self.suffix else sql
