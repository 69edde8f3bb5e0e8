"""Records into Kasplo: the contacts of an email list."""
