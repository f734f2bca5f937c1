"""Words of the wall: the shapes and stream frames of Docker's API, shared by both of its sides.

Importing this package costs nothing: the command line starts from it.
"""
