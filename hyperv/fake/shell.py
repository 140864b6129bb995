"""What stands for the PowerShell at the other end of a lane: it does as loop.ps1 does, on a thread of its own."""

import base64
import json
import queue
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import psutil

from hyperv.fake.binding import bind
from hyperv.fake.call import Call
from hyperv.fake.declared import Function, UnreadableError, read_functions
from hyperv.fake.functions import HANDLERS
from hyperv.fake.hypervisor import EndedError, Hypervisor
from hyperv.fake.records import Record, ScriptError, cmdlet_error, refused_by_system
from hyperv.lane_rules import changes_nothing
from hyperv.program import Program
from tzar_agent.tree import SurvivorsError

__all__ = ["Shell"]

_PREFIX = b"TZAR-REPLY:"  # as in loop.ps1
_REMEMBERED = 8  # replies, as there


class Shell:
    """Answers requests until it is ended.

    Args:
        host: where it runs.
        program: what it was started with: its first line must be that.
        deliver: is called with each reply; None: the reply is lost on its way. On the shell's thread.
        on_end: is called when it has ended, on the same.
    """

    def __init__(
        self,
        host: Hypervisor,
        program: Program,
        deliver: Callable[[bytes | None], object],
        on_end: Callable[[], object],
    ) -> None:
        self.story = b""  # what it wrote on standard error
        self._host = host
        self._program = program
        self._deliver = deliver
        self._on_end = on_end
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._functions: dict[str, Function | None] = {}
        self._replies: OrderedDict[str, bytes] = OrderedDict()
        threading.Thread(target=self._run, name="fake-powershell", daemon=True).start()

    @property
    def has_ended(self) -> bool:
        """Whether it answers nothing any more."""
        return self._ended.is_set()

    def take(self, line: bytes) -> None:
        """A line on its standard input."""
        self._requests.put(line)

    def end(self) -> None:
        """Ends it, whatever it does."""
        self._ended.set()
        self._requests.put(None)
        self._on_end()

    def _run(self) -> None:
        try:
            if self._requests.get() == self._program.first_line:
                while (line := self._requests.get()) is not None and not self._ended.is_set():
                    self._answer(line)
        except EndedError:
            return
        except BaseException:
            self.story = traceback.format_exc().encode()
            raise
        finally:
            self._ended.set()
            self._on_end()

    def _answer(self, line: bytes) -> None:
        request = _read(line)
        operation = str(request.get("id") or "")
        reply = self._replies.get(operation)
        is_lost = False
        if reply is None:
            function = str(request.get("call"))
            document = self._carry_out(operation, request)
            reply = _PREFIX + base64.b64encode(json.dumps({"id": operation, **document}).encode())
            if operation:
                self._replies[operation] = reply
                if len(self._replies) > _REMEMBERED:
                    self._replies.popitem(last=False)
            with self._host.lock:
                is_lost = self._host.faults.takes(self._host.faults.lost_answers, function)
        if not self._ended.is_set():
            self._deliver(None if is_lost else reply)

    def _carry_out(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        said: list[str] = []
        try:
            value: list[Any] = []
            if not operation:
                raise _own("TzarGarbled", "a request could not be read")
            if request.get("define"):
                for source in request["define"]:
                    self._functions |= read_functions(source)
            else:
                value = self._call(str(request.get("call")), request.get("with") or {}, said)
            return {"ok": True, "value": value, "said": said}
        except UnreadableError as error:
            return {"ok": False, "error": _own("", str(error)).record.as_json(), "said": said}
        except ScriptError as error:
            return {"ok": False, "error": error.record.as_json(), "said": said}

    def _call(self, name: str, arguments: dict[str, Any], said: list[str]) -> list[Any]:
        function, handler = self._functions.get(name), HANDLERS.get(name)
        if function is None or handler is None:
            where = "the fake host" if name in self._functions else "this lane"
            raise _own("TzarUnknownFunction", f"there is no function {name} in {where}")
        given = bind(function, arguments)
        host, call = self._host, Call(self._host, self._ended, said)
        with host.lock:
            is_hung = host.faults.takes(host.faults.hangs, name)
            failures = host.faults.failures[name]
            failure = failures.popleft() if failures else None
        if is_hung:
            self._ended.wait()
            raise EndedError
        if failure is not None:
            raise failure
        with host.lock:
            if self._ended.is_set():
                raise EndedError
            try:
                return list(handler(host, given, call))
            except OSError as error:
                raise refused_by_system(name, error) from error
            except (psutil.Error, SurvivorsError) as error:
                raise cmdlet_error("Stop-VM", "OperationFailed", str(error)) from error
            finally:
                if not changes_nothing(name):
                    host.save()


def _read(line: bytes) -> dict[str, Any]:
    try:
        document = json.loads(base64.b64decode(line, validate=True))
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _own(code: str, message: str) -> ScriptError:
    """An error of the loop itself."""
    return ScriptError(Record(message, id=code, category="InvalidOperation", exception="", hresult=0, code=code))
