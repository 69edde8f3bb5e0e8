"""Singer tap for Kasplo email marketing."""
