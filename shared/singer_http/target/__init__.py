"""The target: Singer messages in, streams routed to their deliveries, a run begun and ended.

`router` leads records, `recovery` takes up what earlier runs left, `session` holds what a run owns.
"""
