"""PostgreSQL: the server that we start ourselves, the pool, migrations, the projector and what it is checked by.

Truth for people (`docs/people.md`), a projection for trading (`docs/data-model.md`, `docs/projector.md`). Nothing of
the trading path waits for anything here.

    embedded ──► a private PostgreSQL in the data directory, when DB_HOST is not set
    database ──► connections: how many, how old, for how long; whether the server is there
    migrate  ──► migrations/*.sql, in order, once
    sqlstate ──► which errors pass by themselves
    witness  ──► what PostgreSQL knows, asked before recovery

    process (in the server) ═══ stdin, stdout ═══ projector (the child: the loop, the pauses, the exit codes)
                                                      │
    event journal ──► event_log ──► fold ◄── slots, reference
                                     ├─ fold_orders   orders and what changes of older ones
                                     ├─ postings      entries, postings, balances
                                     └─ fold_market   trades, aggregate trades, candles
                                     ▼
                                 projection ──► copying, merging, schemas ──► one transaction a batch

    watermark, history, candle_queries ──► what was projected, read back
    status, verify, rebuild, opening   ──► the operator's view of it (`exchange projection`)
"""
