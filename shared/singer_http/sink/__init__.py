"""What a vendor's sink derives from: fields and columns, the kinds of sinks, the context.

A sink knows the vendor and its settings. It knows nothing of batches, retries, threads or the
ledger's writing: `delivery` does.
"""
