"""Merlin CRM."""
