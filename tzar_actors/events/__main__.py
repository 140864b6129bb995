"""Writes `docs/events.md` anew: `python -m tzar_actors.events docs/events.md`."""

import sys
from pathlib import Path

from tzar_actors.events.reference import events_page

if len(sys.argv) != 2:
    sys.exit("usage: python -m tzar_actors.events docs/events.md")
Path(sys.argv[1]).write_text(events_page(), encoding="utf-8", newline="\n")
