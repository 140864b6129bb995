"""What a running agent costs: the time to import all that it needs, and its resident memory while it is parked.

Beside both stand the agent's four libraries alone. Run it while nothing else runs: `python bench/agent_footprint.py`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

LIBRARIES = "import zmq, msgpack, loguru, psutil"
AGENT = "import tzar_agent.cli, tzar_agent.agent"
LIMIT_MS, LIMIT_MB = 200, 45

TIMED = """
import time
began = time.perf_counter()
{imports}
print(time.perf_counter() - began)
"""


def import_ms(imports: str, rounds: int) -> float:
    """Median milliseconds of `imports` in a fresh interpreter, after one round that fills the caches."""
    times = []
    for _ in range(rounds + 1):
        program = TIMED.format(imports=imports)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        times.append(float(done.stdout) * 1000)
    return statistics.median(times[1:])


def resident_mb(process: subprocess.Popen[bytes]) -> float:
    """Resident memory of a running process, in MiB."""
    return float(psutil.Process(process.pid).memory_info().rss) / 2**20


def libraries_mb() -> float:
    """Resident memory of an interpreter that has imported the libraries and nothing else, in MiB."""
    program = f"{LIBRARIES}\nprint('ready', flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdout is None or process.stdin is None or not process.stdout.readline():
            raise RuntimeError("the libraries cannot be imported")
        size = resident_mb(process)
        process.stdin.write(b"\n")
        process.stdin.flush()
    return size


def parked_mb() -> float:
    """Resident memory of an agent that waits for its identity, in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([sys.executable, "-m", "tzar_agent", "run", "--home", folder])
        try:
            log = Path(folder) / "agent.log"
            give_up_at = time.monotonic() + 20
            while not (log.exists() and "parked" in log.read_text(encoding="utf-8")):
                if time.monotonic() > give_up_at or process.poll() is not None:
                    raise RuntimeError("the agent did not come up")
                time.sleep(0.05)
            return resident_mb(process)
        finally:
            process.terminate()
            process.wait(10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="fresh interpreters timed for each figure")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    figures = {
        "agent_import_ms": import_ms(AGENT, arguments.rounds),
        "libraries_import_ms": import_ms(LIBRARIES, arguments.rounds),
        "agent_rss_mb": parked_mb(),
        "libraries_rss_mb": libraries_mb(),
    }
    print(f"{'':24}{'import, ms':>12}{'RSS, MiB':>12}")
    print(f"{'its four libraries':24}{figures['libraries_import_ms']:>12.0f}{figures['libraries_rss_mb']:>12.1f}")
    print(f"{'parked agent':24}{figures['agent_import_ms']:>12.0f}{figures['agent_rss_mb']:>12.1f}")
    print(f"{'limit':24}{LIMIT_MS:>12}{LIMIT_MB:>12}")
    if arguments.json:
        print(json.dumps({name: round(value, 1) for name, value in figures.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
