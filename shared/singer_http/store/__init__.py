"""What must outlive a run: one database, SQLite or PostgreSQL, through SQLAlchemy Core.

Ledger (what was delivered, what is about to leave), rejects (what is outstanding), runs, and what
all processes of an account share: rate windows and tokens.
A transaction is never open while a request is in flight.
"""

DATABASE_FILE = "singer-http.db"
"""The default database, in `work_dir`."""
