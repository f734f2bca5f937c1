"""Measurements of Lodge beside its peers. `python -m bench --help` runs them; README.md holds the table."""
