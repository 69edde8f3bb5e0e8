"""Singer taps and targets for HTTP APIs. Knows HTTP and Singer, never a vendor.

Import from its modules. This package imports none of them, so that `--about` starts fast.
"""
