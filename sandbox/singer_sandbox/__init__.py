"""A local server that behaves like the four vendors, for tests, demos, people and benchmarks.

One folder for each vendor. `vendor` is what they share, `control` changes state and faults from
outside, `client` starts the server from Python. It imports nothing of the plugins.
"""

from singer_sandbox.client import Sandbox, SandboxError

__all__ = ["Sandbox", "SandboxError", "__version__"]

__version__ = "0.1.0"
