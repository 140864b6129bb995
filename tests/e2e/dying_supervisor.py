"""A supervisor that ends itself by SIGKILL at a commit, when the test has left a note in its state folder.

The note says `before`: nothing of the turn is committed; or `after`: all of it is, and nothing that waited for it was
sent. Otherwise it is the supervisor that `launch` starts.
"""

import os
import signal
import sys
from pathlib import Path

from tzar_actors.journal.journal import Journal
from tzar_actors.supervisor import main

NOTE = "die-at-commit"


def commit_or_die(self: Journal, commit=Journal.commit) -> None:
    note = self.path.with_name(NOTE)
    when = note.read_text() if note.exists() else ""
    if when:
        note.unlink()
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    commit(self)
    if when == "after":
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    Journal.commit = commit_or_die
    sys.exit(main(str(Path(sys.argv[1]))))
