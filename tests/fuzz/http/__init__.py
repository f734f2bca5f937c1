"""Hostile clients against the API."""
