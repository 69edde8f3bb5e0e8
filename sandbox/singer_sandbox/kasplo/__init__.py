"""Kasplo."""
