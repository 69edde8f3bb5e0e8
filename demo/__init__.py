"""Records moving both ways, for a person to watch: `make demo`.

A PostgreSQL warehouse → AutoReach (the sandbox) → DuckDB, with `meltano run`, on this machine only.
"""
