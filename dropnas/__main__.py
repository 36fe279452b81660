"""`python -m dropnas`."""

from dropnas.cli import main

main()
