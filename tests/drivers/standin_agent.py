"""What stands for an agent where only its process matters: takes its identity, then waits to be asked to end.

Modes: `work`; `deaf` heeds no request to end; `dead` says why and ends at once; `idle` leaves its identity lying;
`parent` starts a child that leaves its group and survives it, and writes its pid to `child.pid`.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("mode")
parser.add_argument("--home", type=Path, required=True)
arguments = parser.parse_args()
asked_to_end = threading.Event()
request = signal.SIGTERM if sys.platform != "win32" else signal.SIGBREAK
signal.signal(request, signal.SIG_IGN if arguments.mode == "deaf" else lambda *_: asked_to_end.set())

if arguments.mode == "dead":
    sys.exit("the disk holds no game")
if arguments.mode == "parent":
    child = subprocess.Popen(
        [sys.executable, "-c", "import threading; threading.Event().wait(600)"], start_new_session=True
    )
    (arguments.home / "child.pid").write_text(str(child.pid), encoding="ascii")
if arguments.mode != "idle":
    identity = arguments.home / "identity.json"
    (arguments.home / "taken").write_bytes(identity.read_bytes())
    (arguments.home / "marks").write_text(
        " ".join(os.environ[name] for name in ("TZAR_FLEET", "TZAR_VM", "TZAR_INCARNATION")), encoding="utf-8"
    )
    identity.unlink()
asked_to_end.wait()
