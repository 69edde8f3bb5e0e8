"""What a run says about itself: counts and a timeline, a progress line, and the report.

Everything shown is made from two JSON values: the report (`Report.as_stored`) and the summary of
its rejects (`summarise`). The page and the last lines can be made again from them at any time.
"""
