"""What must outlive a run: one database, SQLite or PostgreSQL, through SQLAlchemy Core.

The ledger (what was delivered, what is about to leave) and the rejects (what is outstanding).
One thread uses it; a transaction is never open while a request is in flight.
"""
