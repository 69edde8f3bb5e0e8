"""AutoReach.

`service` answers the calls, `account` holds the state, `checks` refuses what is not valid.
`seed` has invented data.
"""
