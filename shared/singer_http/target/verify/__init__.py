"""What was delivered against what the vendor has now: compared, listed, marked to be sent again.

`command` goes through the streams, `stream` through the records of one. `notes` keeps the progress,
`repair` marks. Nothing here writes to the vendor.
"""
