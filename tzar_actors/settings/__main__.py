"""Writes `docs/configuration.md` anew: `python -m tzar_actors.settings docs/configuration.md`."""

import sys
from pathlib import Path

from tzar_actors.settings.reference import configuration_page

if len(sys.argv) != 2:
    sys.exit("usage: python -m tzar_actors.settings docs/configuration.md")
Path(sys.argv[1]).write_text(configuration_page(), encoding="utf-8", newline="\n")
