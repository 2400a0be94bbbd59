"""Public market data: order books, trades and tickers, folded from events and sent to whoever listens.

    events (128 bytes) ──► aggregate.fold (compiled) ──► level table, tickers ──► once per interval ──► book, frames
                                └► trades, one by one ────────────────────────────────────────────────► frames

Imports `exchange.core` and nothing of the other edges.
"""
