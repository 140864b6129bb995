"""Who may speak, and as whom: the server's key pair, the trainers' one, and a key for each incarnation of each VM."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import zmq

from tzar_actors.errors import SupervisorError

__all__ = ["KeyPair", "KeyRing", "TrainerAccess", "load_or_make_keys", "write_private"]


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A CURVE key pair, Z85."""

    public: str
    secret: str

    @classmethod
    def make(cls) -> Self:
        """A new pair."""
        public, secret = zmq.curve_keypair()
        return cls(public.decode(), secret.decode())

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public!r})"


@dataclass(frozen=True, slots=True)
class TrainerAccess:
    """What a trainer on this or another machine needs to connect: the content of the access file.

    Args:
        endpoint: where the supervisor listens.
        blobs: where it listens for genomes.
        server_key: its public key.
        public_key: the trainers' public key.
        secret_key: the trainers' secret key.
        pid: the supervisor's process.
    """

    endpoint: str
    blobs: str
    server_key: str
    public_key: str
    secret_key: str
    pid: int

    def __repr__(self) -> str:
        return f"TrainerAccess(endpoint={self.endpoint!r})"

    def save(self, path: Path) -> None:
        """Writes the access file, readable by its owner alone."""
        write_private(path, json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads an access file.

        Raises:
            SupervisorError: there is none, or it is none of this version.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise SupervisorError(
                f"no supervisor has run in {path.parent}: there is no {path.name}. Start one with: tzar supervise"
            ) from error
        except (ValueError, TypeError) as error:
            raise SupervisorError(
                f"the access file {path} cannot be read: {error}. Start the supervisor anew"
            ) from error


class KeyRing:
    """Which public key stands for whom. An older incarnation's key opens nothing any more."""

    def __init__(self, trainer_public_key: str) -> None:
        self._trainer = trainer_public_key
        self._owners: dict[str, tuple[str, int]] = {}
        self._keys: dict[str, str] = {}

    def give(self, vm: str, incarnation: int, public_key: str) -> None:
        """From now on this key, and no other, opens the name of `vm`."""
        self.take(vm)
        self._owners[public_key] = (vm, incarnation)
        self._keys[vm] = public_key

    def take(self, vm: str) -> None:
        """No key opens the name of `vm` any more."""
        if (key := self._keys.pop(vm, None)) is not None:
            del self._owners[key]

    def is_trainer(self, public_key: str) -> bool:
        """Whether the key is the trainers'."""
        return public_key == self._trainer

    def owner(self, public_key: str) -> tuple[str, int] | None:
        """The VM and the incarnation that this key stands for."""
        return self._owners.get(public_key)

    def callback(self, domain: str, key: bytes) -> bool:
        """The question of pyzmq's authenticator: may this key connect? `key` is Z85."""
        name = key.decode("ascii", "replace")
        return name == self._trainer or name in self._owners


def load_or_make_keys(folder: Path) -> tuple[KeyPair, KeyPair]:
    """The server's and the trainers' key pairs, kept in `folder` from the first start on."""
    path = folder / "server.keys"
    if path.exists():
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return KeyPair(**document["server"]), KeyPair(**document["trainer"])
        except (ValueError, TypeError, KeyError) as error:
            raise SupervisorError(
                f"the keys in {path} cannot be read: {error}. Remove the file: VMs that run will be reset"
            ) from error
    pairs = {"server": KeyPair.make(), "trainer": KeyPair.make()}
    write_private(path, json.dumps({name: asdict(pair) for name, pair in pairs.items()}, indent=1))
    return pairs["server"], pairs["trainer"]


def write_private(path: Path, text: str) -> None:
    """Replaces a file at once by one that only its owner can read."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
