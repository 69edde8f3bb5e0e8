"""HighLevel's API v2."""
