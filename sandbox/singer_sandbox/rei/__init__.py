"""REI Software."""
