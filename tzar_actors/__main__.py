"""`python -m tzar_actors` is `tzar`."""

from tzar_actors.cli.main import main

main()
