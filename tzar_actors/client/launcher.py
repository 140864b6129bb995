"""Starts a supervisor as a child process, starts it again when it dies, or attaches to the one that runs."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn

from tzar_actors.client.fleet import ACCESS_FILE, Fleet
from tzar_actors.core.restart import Failed, Restart, RestartIntensity
from tzar_actors.errors import LockedError, SupervisorError
from tzar_actors.gateway.keys import TrainerAccess, write_private
from tzar_actors.settings import Settings, difference, load, require_evaluator, with_evaluator

__all__ = ["LaunchedFleet", "is_locked", "launch"]

_READY_S: Final = 60.0
_TAIL_BYTES: Final = 4000
_EXIT_LOCKED: Final = 73
_LOOK_AGAIN_S: Final = 0.5
_END_S: Final = 90.0  # a supervisor gives up VMs that do not stop after 60
_TERMINATE_S: Final = 10.0
_FIRST_DELAY_S: Final = 0.05  # nobody plays while there is no supervisor

SUPERVISOR_ARGV = (sys.executable, "-m", "tzar_actors.supervisor")


class LaunchedFleet(Fleet):
    """A fleet whose supervisor this process has started, and starts again when it dies.

    Leaving it ends the supervisor as `fleet.on_trainer_exit` says: after what is open (drain), at once (stop, and
    always after an exception), or not at all (linger).

    Args:
        settings: what the supervisor is told.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._process = _start(settings)
        self._closing = threading.Event()
        self.supervisor_starts = 1
        super().__init__(settings.state_dir, patience_s=None)  # when to give up is the keeper's to say
        self._keeper = threading.Thread(target=self._keep, name="tzar-keeper", daemon=True)
        self._keeper.start()

    @property
    def supervisor_pid(self) -> int:
        """The supervisor's process."""
        return self._process.pid

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end("stop" if kind is not None else self.settings.fleet.on_trainer_exit)

    def close(self) -> None:
        """Ends the supervisor as `fleet.on_trainer_exit` says, and waits for it. Closed already: nothing changes."""
        self._end(self.settings.fleet.on_trainer_exit)

    def detach(self, timeout_s: float = _READY_S) -> None:
        """See `Fleet.detach`. The supervisor then does what `fleet.on_trainer_exit` says.

        When it dies nobody starts it again; what it had open stays in its journal.
        """
        self._connection.settle(timeout_s)
        self._end("linger")

    def _end(self, how: str) -> None:
        if self._closing.is_set():
            return
        self._closing.set()
        try:
            if how != "linger" and self._process.poll() is None:
                self._shut_down_and_wait(drain=how == "drain")
        finally:
            super().close()
            if how != "linger":
                self._keeper.join()

    def _shut_down_and_wait(self, *, drain: bool) -> None:
        try:
            self.shut_down(drain=drain)
            ended = self._has_ended(drain=drain)
        except SupervisorError:
            if self._process.poll() is None:
                self._process.terminate()  # it hears nobody; what is open stays in its journal
                raise
            return
        except BaseException:  # an interrupt, while it drains
            self.shut_down(drain=False)
            raise
        if not ended:
            self._end_by_force()

    def _has_ended(self, *, drain: bool) -> bool:
        """Waits for the supervisor's end. A drain lasts as long as its games, and so while it answers; an end does not.

        Returns:
            False: it should have ended by now.
        """
        deadline = time.monotonic() + _END_S
        while True:
            try:
                self._process.wait(_LOOK_AGAIN_S)
            except subprocess.TimeoutExpired:
                now = time.monotonic()
                if drain and self._connection.is_up:
                    deadline = now + _END_S
                if now > deadline:
                    return False
            else:
                return True

    def _end_by_force(self) -> NoReturn:
        self._process.terminate()
        try:
            self._process.wait(_TERMINATE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        raise SupervisorError(
            f"the supervisor of {self.state_dir} did not end within {_END_S:g} s and was ended by force. What was open"
            " stays in its journal"
        )

    def _keep(self) -> None:
        """Starts the supervisor again when it dies, but not for ever."""
        recovery = self.settings.recovery
        intensity = RestartIntensity(recovery.restarts, recovery.window_s, _FIRST_DELAY_S, recovery.longest_delay_s)
        not_up: SupervisorError | None = None  # why the latest try came to nothing
        while True:
            code = self._process.wait()
            if self._closing.is_set():
                return
            if code == 0:  # somebody else shut it down
                self._connection.fail(SupervisorError(f"the supervisor of {self.state_dir} was shut down"))
                return
            intensity, (decision,) = intensity.step(Failed(time.monotonic(), random.random()))
            if not isinstance(decision, Restart):
                reason = f"the supervisor of {self.state_dir} died {len(decision.failures)} times"
                last = f"at last: {not_up}" if not_up else f"last with code {code}. {_tail(self.state_dir)}"
                self._connection.fail(SupervisorError(f"{reason}, {last}"))
                return
            if self._closing.wait(decision.after_s):
                return
            while is_locked(self.state_dir):  # somebody else was faster: that supervisor serves this trainer as well
                if self._closing.wait(_LOOK_AGAIN_S):
                    return
            try:
                self._process = _start(self.settings)
            except LockedError:
                continue
            except SupervisorError as error:  # it may die while it starts as well: another death, and counted as such
                not_up = error
                continue
            not_up = None
            self.supervisor_starts += 1
            if self._closing.is_set():  # whoever left did not see it any more
                self._process.terminate()


def launch(
    config: str | os.PathLike[str] | Settings | Mapping[str, Any] | None = None, evaluator: str | None = None
) -> Fleet:
    """Starts a supervisor, or attaches to the one that runs on the same state folder.

    Args:
        config: a TOML file, settings, or a mapping of the file's shape; None: the defaults.
        evaluator: "module:function", in place of the configuration's; imported from the folder of the running script.

    Returns:
        A context manager: `with launch(...) as fleet`.

    Raises:
        ConfigError: the configuration cannot be used.
        SupervisorError: it did not come up (with the tail of its log), or one runs with other settings.
    """
    settings = _settings(config, evaluator)
    for _ in range(3):
        attached = _attach(settings, is_any_welcome=config is None and evaluator is None)
        if attached is not None:
            return attached
        require_evaluator(settings, config if isinstance(config, str | Path) else "the configuration")
        try:
            return LaunchedFleet(settings)
        except LockedError as error:  # another launch was a moment faster: attach to what it started
            locked = error
            time.sleep(0.2)
    raise locked


def _settings(config: str | os.PathLike[str] | Settings | Mapping[str, Any] | None, evaluator: str | None) -> Settings:
    match config:
        case None:
            settings = Settings.from_mapping({})
        case Settings():
            settings = config
        case Mapping():
            settings = Settings.from_mapping(config)
        case _:
            settings = load(Path(config))
    if evaluator is None:
        return settings
    main = sys.modules.get("__main__")
    script = getattr(main, "__file__", None)
    return with_evaluator(settings, evaluator, [Path(script).absolute().parent if script else Path.cwd()])


def _attach(settings: Settings, *, is_any_welcome: bool) -> Fleet | None:
    """The fleet of the supervisor that runs on this state folder, or None."""
    path = settings.state_dir / ACCESS_FILE
    if not path.exists() or not is_locked(settings.state_dir):
        return None
    fleet = Fleet(settings.state_dir)
    try:
        running = Settings.model_validate_json(fleet._connection.welcome().settings)
    except SupervisorError:
        fleet.close()
        return None
    # What follows a trainer's exit is the running supervisor's own affair: a service lingers, whatever the file says.
    fleet_section = running.fleet.model_copy(update={"on_trainer_exit": settings.fleet.on_trainer_exit})
    differences = difference(running.model_copy(update={"fleet": fleet_section}), settings)
    if differences and not is_any_welcome:
        fleet.close()
        pid = TrainerAccess.load(path).pid
        listed = "\n  ".join(differences)
        raise SupervisorError(
            f"a supervisor (process {pid}) runs on {settings.state_dir} with other settings; its own and yours:\n"
            f"  {listed}\nStop it, use its settings, or use another fleet.state_dir"
        )
    return fleet


def is_locked(state_dir: Path) -> bool:
    """Whether somebody holds the state folder, which is there: a supervisor, or a command in its place."""
    from filelock import FileLock, Timeout

    # Another look may hold it for a moment, as this one does; a supervisor that starts waits longer than both.
    lock = FileLock(state_dir / "lock", timeout=0.05)
    try:
        lock.acquire(poll_interval=0.01)
    except Timeout:
        return True
    lock.release()
    return False


def _start(settings: Settings) -> "subprocess.Popen[bytes]":
    """A supervisor that is ready.

    Raises:
        LockedError: another holds the state folder.
        SupervisorError: it did not come up.
    """
    state_dir = settings.state_dir
    state_dir.mkdir(parents=True, exist_ok=True)
    settings_file = state_dir / "settings.json"
    write_private(settings_file, settings.model_dump_json(indent=1))
    with (state_dir / "supervisor.log").open("ab") as errors:
        process = subprocess.Popen(
            [*SUPERVISOR_ARGV, str(settings_file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            # An interrupt at the terminal is the trainer's to handle, who then ends the supervisor in good order.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    said = _first_line(process)
    if "ready" in said:
        return process
    code = _code_after_failure(process)
    problem = said.get("error") or f"it ended with code {code}" if code is not None else "it was not ready in time"
    text = f"the supervisor of {state_dir} did not come up: {problem}"
    if code == _EXIT_LOCKED:
        raise LockedError(text)
    raise SupervisorError(f"{text}. {_tail(state_dir)}")


def _first_line(process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    """What the supervisor says first; nothing when it ends, or says nothing in time."""
    lines: list[bytes] = []
    pipe = process.stdout
    if pipe is None:
        return {}

    def read() -> None:
        with pipe:
            lines.append(pipe.readline())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(_READY_S)
    try:
        said = json.loads(lines[0]) if lines else {}
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _code_after_failure(process: "subprocess.Popen[bytes]") -> int | None:
    try:
        return process.wait(5.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def _tail(state_dir: Path) -> str:
    """The end of the supervisor's log, for an error."""
    path = state_dir / "supervisor.log"
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace").strip()
    except OSError:
        text = ""
    return f"The end of {path}:\n{text}" if text else f"{path} is empty"
