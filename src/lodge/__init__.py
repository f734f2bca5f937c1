"""Lodge: a container engine. `lodge.Engine` runs programs from images, isolated, from Python.

This module holds no code beyond names that load at first use, so that `import lodge` costs nothing and the
command starts fast. The engine lives in `lodge.engine`, the command in `lodge.cli`.
"""
