"""What `make` carries out on the project itself."""
