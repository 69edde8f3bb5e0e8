"""What the tap and the target of REI Software share: HighLevel's API v1 and API v2."""
