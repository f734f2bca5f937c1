"""The programs behind `lodge image copy`, `diff`, `explore` and the inspection of remote images.

They run as the user who calls them, with that user's credentials, and need lodged only for images that it
keeps.
"""
