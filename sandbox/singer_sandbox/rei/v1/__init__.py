"""HighLevel's API v1."""
