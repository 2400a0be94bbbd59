"""Recorded market days as real commands: `exchange market-replay`.

    cli ──► day ──► replay (the window rule) ──► engine_venue | server_venue
              └──► lobster (files)   └──► ledger

Imports run along the arrows. `replay` and `ledger` know no venue, the venues decide nothing.
"""

from exchange.market_replay.cli import app

__all__ = ["app"]
