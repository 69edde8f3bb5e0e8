"""`python -m singer_sandbox`."""

from singer_sandbox.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
