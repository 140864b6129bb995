"""The story of a simulated world, the last part of which is told when a law is broken."""

from collections import deque
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Final

from tzar_actors.errors import TzarError

__all__ = ["Broken", "Killed", "Story", "ViolationError"]

_TOLD: Final = 150


class Killed(BaseException):
    """The supervisor ends here, as by `kill -9`. No actor may swallow it, so it is no Exception."""


class Broken(BaseException):
    """A law is broken; the world stops here. No actor may swallow it, so it is no Exception."""

    def __init__(self, law: str, what: str) -> None:
        super().__init__(f"{law}: {what}")
        self.law = law
        self.what = what


class ViolationError(TzarError):
    """A law does not hold. The text has the seed and the story.

    Args:
        law: the law's short name.
        what: how it was broken.
        at: seconds since the world began.
        seed: of the world.
        story: what happened last, oldest first.
    """

    def __init__(self, law: str, what: str, at: float, seed: int, story: tuple[str, ...]) -> None:
        lines = "\n".join(f"  {line}" for line in story)
        super().__init__(
            f"the law {law!r} is broken after {at:.3f} s with seed {seed}: {what}\nWhat came before:\n{lines}"
        )
        self.law = law
        self.what = what
        self.at = at
        self.seed = seed
        self.story = story


class Story:
    """Keeps what happened last, and, when it is wanted, the digest of all that ever happened.

    Args:
        clock: gives seconds since the world began.
        is_digested: whether the digest is wanted; it takes time.
    """

    def __init__(self, clock: Callable[[], float], *, is_digested: bool = False) -> None:
        self._clock = clock
        self._last: deque[tuple[float, object, object, object]] = deque(maxlen=_TOLD)
        self._digest = sha256() if is_digested else None

    def tell(self, who: object, what: object, detail: object = "") -> None:
        """`who` did `what`. Texts are made from them only when the story is told."""
        entry = (self._clock(), who, what, detail)
        self._last.append(entry)
        if self._digest is not None:
            self._digest.update(_line(entry).encode())

    def lines(self) -> Iterator[str]:
        """The last part, oldest first."""
        return map(_line, self._last)

    @property
    def digest(self) -> str:
        """Of the whole story, in hex; "": it was not wanted."""
        return self._digest.hexdigest() if self._digest is not None else ""


def _line(entry: tuple[float, object, object, object]) -> str:
    at, who, what, detail = entry
    return f"{at:12.3f} {who}: {what} {detail}".rstrip()
