"""PostgreSQL: the embedded server, the pool, migrations, the projection and its faults; every server here is real."""
