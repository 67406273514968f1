"""`python -m canary` is `canary`."""

from canary.cli.main import main

main()
