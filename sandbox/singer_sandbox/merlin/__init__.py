"""Merlin CRM.

`service` answers the calls and holds the state.
`seed` has invented data.
"""
