"""Singer tap for AutoReach."""
