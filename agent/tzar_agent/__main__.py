"""`python -m tzar_agent` is `tzar-agent`."""

import sys

from tzar_agent.cli import main

sys.exit(main())
