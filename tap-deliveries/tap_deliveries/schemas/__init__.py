"""What the streams' records look like."""
