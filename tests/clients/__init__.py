"""Real clients against a real lodged."""
