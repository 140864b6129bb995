"""What stands for an agent in a guest where only its part of a boot matters: takes each identity that comes in.

While the file named first exists, it heeds no request to end.
"""

import argparse
import json
import signal
import threading
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("deafness", type=Path)
parser.add_argument("--home", type=Path, required=True)
arguments = parser.parse_args()
asked_to_end = threading.Event()
is_deaf = arguments.deafness.exists()
signal.signal(signal.SIGTERM, signal.SIG_IGN if is_deaf else lambda *_: asked_to_end.set())
arguments.home.mkdir(parents=True, exist_ok=True)
identity = arguments.home / "identity.json"
while not asked_to_end.wait(0.02):
    try:
        json.loads(identity.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # none yet, or not whole yet
        continue
    identity.replace(arguments.home / "taken")
