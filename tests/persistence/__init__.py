"""PostgreSQL: the projection held against an independent reading of the events, with a real server."""
