"""REI Software: two APIs over the same accounts.

`account` holds the state, `base` what both APIs share, `v1` and `v2` answer the calls.
`seed` has invented data.
"""
