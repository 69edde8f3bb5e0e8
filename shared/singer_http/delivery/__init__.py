"""From a record to its settlement: checked, matched, marked as pending, sent, settled.

One thread decides; workers only call the sink. What decides does not write: `settlement` does.
"""
