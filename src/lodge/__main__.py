"""`python -m lodge` is the `lodge` command."""

from lodge.cli.main import main

main()
