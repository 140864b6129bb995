"""A supervisor whose driver never answers the first start of the first VM. Otherwise it is what `launch` starts."""

import sys
from pathlib import Path
from threading import Event

from tzar_actors.drivers.local import LocalDriver
from tzar_actors.supervisor import main

hung = []


def start_or_hang(self, vm, identity, start=LocalDriver.start):
    if vm.endswith("-01") and not hung:
        hung.append(vm)
        Event().wait()
    start(self, vm, identity)


if __name__ == "__main__":
    LocalDriver.start = start_or_hang
    sys.exit(main(str(Path(sys.argv[1]))))
