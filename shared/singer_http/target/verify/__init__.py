"""What was delivered against what the vendor has now: compared, listed, marked to be sent again.

`verify` goes through the streams, `stream` through the records of one, `notes` keeps how far it
came. Nothing here writes to the vendor.
"""
