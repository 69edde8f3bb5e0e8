"""What broke once, tried through the front door: one line of the findings each, and its kin."""
