"""Singer tap for REI Software."""
