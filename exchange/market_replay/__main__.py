"""`python -m exchange.market_replay`."""

from exchange.market_replay.cli import app

app()
