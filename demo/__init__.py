"""Records moving both ways, for a person to watch: `make demo`.

A PostgreSQL warehouse → AutoReach → DuckDB, then the other vendors, with `meltano run`. The vendors
are the sandbox: nothing leaves this machine.
"""
