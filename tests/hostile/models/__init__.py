"""Models of the vendors, written from their documentation, and the server that they run in."""
