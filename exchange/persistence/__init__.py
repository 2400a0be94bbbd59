"""PostgreSQL: the server that we start ourselves, the pool, migrations, the projector and what it is checked by.

Truth for people, a projection for trading (`docs/` has a page). Nothing of the trading path waits for anything here.

    embedded ──► a private PostgreSQL in the data directory, when DB_HOST is not set
    database ──► connections: how many, how old, for how long; whether the server is there
    migrate  ──► migrations/*.sql, in order, once
    sqlstate ──► which errors pass by themselves
"""
