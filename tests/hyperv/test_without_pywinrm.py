"""Where pywinrm is not installed, what needs none is tested all the same."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDS_NONE, NEEDS_IT = "tests/hyperv/test_fake_line.py", "tests/hyperv/test_winrm_faults.py"


def test_the_fake_s_tests_run_without_pywinrm_and_those_that_need_it_are_skipped_with_the_reason(tmp_path):
    (tmp_path / "winrm.py").write_text('raise ModuleNotFoundError("No module named winrm", name="winrm")\n')
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", NEEDS_NONE, NEEDS_IT]
    done = subprocess.run(
        argv,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b[1-9]\d* passed", done.stdout), done.stdout
    assert NEEDS_IT in done.stdout
    assert "pywinrm is not installed" in done.stdout
