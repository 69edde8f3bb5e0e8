"""REI Software's API, version 2 (HighLevel's).

`service` receives a call; `access` and `limits` may refuse it; a module for each resource answers
it (`contacts`, `search`, `tags`, `links`, `lists`).
"""
