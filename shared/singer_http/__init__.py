"""Singer taps and targets for HTTP APIs. Knows HTTP and Singer, never a vendor.

Modules are imported where they are used, so that `--about` starts as fast as a bare plugin.
"""
