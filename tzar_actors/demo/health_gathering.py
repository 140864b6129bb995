"""The demo's evaluator: one game of ViZDoom's health_gathering: the floor burns, and only medkits keep you alive.

The engine is slow to start, so it stays up between the games of a process. It is a process of its own and survives a
parent that is killed: whoever ends an evaluator ends it as well.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

# The network is far too small to be split, and a thread a core for each VM of a host would only be in the others' way.
# They are read once, when numpy is first imported.
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

import numpy as np  # noqa: E402  # after the threads are set, as are the others
import numpy.typing as npt  # noqa: E402
import psutil  # noqa: E402
import vizdoom  # noqa: E402

from tzar_actors.demo.policy import KEYS, VIEW, policy_of  # noqa: E402
from tzar_agent import Game, Result  # noqa: E402

__all__ = ["LONGEST_GAME", "play"]

LONGEST_GAME = 2100  # ticks; the scenario ends a game then
TICKS_A_DECISION = 4
DECISIONS_A_REPORT = 25

_BUTTONS = [[place == key for place in range(len(KEYS))] for key in range(len(KEYS))]


def play(genome: bytes, params: dict[str, Any], game: Game) -> Result:
    """Plays one game.

    Args:
        genome: a genome as `tzar_actors.demo.policy` makes it.
        params: nothing; this game has no settings.
        game: its seed decides where the medkits fall; the same genome and seed always end alike.

    Returns:
        The ticks survived (35 a second in the game), and in the details how many decisions that took.

    Raises:
        GenomeError: the genome is none; the text names the field.
        ValueError: there were params.
    """
    if params:
        raise ValueError(f"params: health_gathering takes none, but got {', '.join(sorted(params))}")
    policy = policy_of(genome, game.seed)
    doom = _engine()
    doom.set_seed(game.seed % 2**32)  # the engine's seeds have 32 bits
    doom.new_episode()
    begin = doom.get_episode_time()
    ticks = decisions = 0
    while not doom.is_episode_finished():
        if decisions % DECISIONS_A_REPORT == 0:
            game.progress(f"tick {ticks} of {LONGEST_GAME}")
        doom.make_action(_BUTTONS[policy(_view(doom.get_state().screen_buffer))], TICKS_A_DECISION)
        decisions += 1
        ticks = doom.get_episode_time() - begin
    return Result(float(ticks), {"decisions": decisions})


def _view(screen: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    rows, columns = (size // count for size, count in zip(screen.shape, VIEW, strict=True))
    return screen[rows // 2 :: rows, columns // 2 :: columns]


@cache
def _engine() -> vizdoom.DoomGame:
    doom = vizdoom.DoomGame()
    doom.load_config(str(Path(vizdoom.scenarios_path) / "health_gathering.cfg"))
    doom.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
    doom.set_screen_format(vizdoom.ScreenFormat.GRAY8)
    doom.set_window_visible(False)
    doom.set_sound_enabled(False)
    doom.set_doom_config_path(os.devnull)  # else it writes _vizdoom.ini into its working folder
    # It makes a folder in its working folder as well, whatever it is told: so it starts in one that nobody misses.
    here, scratch = Path.cwd(), tempfile.mkdtemp(prefix="tzar-doom-")
    os.chdir(scratch)
    try:
        doom.init()
    finally:
        os.chdir(here)
        if sys.platform != "win32":  # there a folder in use stays; it lies in the folder for temporary files
            shutil.rmtree(scratch)
    _forget_shared_memory()
    return doom


def _forget_shared_memory() -> None:
    """Takes the names off the memory that this process and its engine share, so that it goes with the last of them.

    Without this an engine that is killed leaves a megabyte in /dev/shm for good.
    """
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error, ValueError, IndexError):  # not the engine, or one that just died
            arguments = child.cmdline()
            instance = arguments[arguments.index("+viz_instance_id") + 1]
            for shared in Path("/dev/shm").glob(f"ViZDoom*{instance}"):
                shared.unlink(missing_ok=True)
