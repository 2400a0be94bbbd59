"""People: registration, passwords, sessions, second factors, identity checks, API keys.

Owns what PostgreSQL is the truth for (schema exchange_user), and the one secret that never lies there: the master key.
Nothing of it enters the journal but account ids. Never decides about orders or balances.
"""
