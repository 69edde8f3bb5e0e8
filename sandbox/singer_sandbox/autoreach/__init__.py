"""AutoReach."""
