"""REI Software's API, version 1 (HighLevel's).

`reading` and `writing` answer the calls, `pages` lists contacts, `checks` refuses what is not
valid.
"""
