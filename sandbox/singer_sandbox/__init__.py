"""A local server that behaves like the four vendors, for tests, demos, people and benchmarks."""

from singer_sandbox.client import Sandbox, SandboxError

__all__ = ["Sandbox", "SandboxError", "__version__"]

__version__ = "0.1.0"
