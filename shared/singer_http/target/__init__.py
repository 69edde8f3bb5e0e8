"""The target: Singer messages in, streams routed to their deliveries, a run begun and ended.

`router` finds each record's delivery, `recovery` finishes what earlier runs left unfinished.
`session` holds what a run owns.
"""
