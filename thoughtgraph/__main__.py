"""`python -m thoughtgraph` is the command `thoughtgraph`."""

from thoughtgraph.cli import main

main()
