"""What the taps share: a tap, streams that read pages of records, and a writer for whole pages.

Pages are fetched ahead in threads; the main thread selects, encodes and writes the records.
A signal waits until STATE fits the records that were written.
"""
