"""Ours beside the peers, on the same work in the same run: `make bench`. See README.md."""
