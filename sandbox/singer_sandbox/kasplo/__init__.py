"""Kasplo email marketing.

`service` answers the calls and holds the state.
`seed` has invented data.
"""
