"""Records into REI Software: contacts, and their tags, campaigns and workflows."""
