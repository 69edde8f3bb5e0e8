"""Singer tap for what the targets of this project delivered."""
