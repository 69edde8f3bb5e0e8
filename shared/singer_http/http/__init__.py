"""Requests to a vendor: client, connections, authentication, retries, rate limit, guards, pages.

`client` decides whether a request is repeated; `transport` and `connections` carry it out.
An error says whether the vendor may have acted on the request (`nothing_was_done`).
"""
