"""Records into AutoReach: people and members."""
