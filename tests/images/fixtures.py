"""Fixtures that hand out test images."""
