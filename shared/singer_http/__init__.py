"""Singer taps and targets for HTTP APIs. Knows HTTP and Singer, never a vendor.

Import from its modules. This package imports none of them, so that `--about` starts fast.
"""

import gc

# What a plugin imports are hundreds of thousands of objects that stay: to walk over them again and
# again takes a tenth of a small run. See also `HTTPTarget.deliver`.
gc.set_threshold(100_000, 20, 50)
