"""The identity: the small JSON document that tells a booted VM who it is.

The agent reads it once and removes it. Whoever holds it can speak as this incarnation of this VM and as nobody else.
"""

import json
from dataclasses import asdict, dataclass, fields

__all__ = ["Identity", "IdentityError"]


class IdentityError(ValueError):
    """A document that is no identity. Its text names the field."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One incarnation of one VM.

    Args:
        fleet: the fleet's id, the mark that everything of it carries.
        vm: the VM's name.
        incarnation: number of this boot or restore of the VM, at least 1.
        endpoint: where the agent dials, as ZeroMQ writes it.
        server_key: the supervisor's public CURVE key, Z85.
        public_key: this VM's own public key, Z85.
        secret_key: this VM's own secret key, Z85.
        entropy: 32 random bytes in hex, since VMs restored from one checkpoint share their generator's state.
        time: seconds since 1970 when it was made, since a restored VM's clock is late.
        orphan_s: seconds without a supervisor after which the agent ends; None: it parks instead.
        machine_id: the host's own id of the VM, where the agent can find it out: it takes no identity of another
            machine then. None: not looked at, and not in the document.
    """

    fleet: str
    vm: str
    incarnation: int
    endpoint: str
    server_key: str
    public_key: str
    secret_key: str
    entropy: str
    time: float
    orphan_s: float | None
    machine_id: str | None = None

    def __repr__(self) -> str:  # an identity in a log or a traceback must not give its key away
        return f"Identity(fleet={self.fleet!r}, vm={self.vm!r}, incarnation={self.incarnation})"

    def to_json(self) -> str:
        """The document."""
        document = {"tzar_identity": 1, **asdict(self)}
        if self.machine_id is None:
            del document["machine_id"]
        return json.dumps(document, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Identity":
        """The identity in `text`.

        Raises:
            IdentityError: it is not JSON, of another version, or a field is missing or wrong.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise IdentityError(f"the identity is not JSON: {error}") from error
        if not isinstance(document, dict) or document.pop("tzar_identity", None) != 1:
            raise IdentityError("the identity is not of version 1 (field tzar_identity)")
        wanted = {f.name: f.type for f in fields(cls)}
        for name in [*wanted, *document]:
            if name not in wanted or (name not in document and name != "machine_id"):
                raise IdentityError(f"the identity's field {name} is {'missing' if name in wanted else 'unknown'}")
        for name, value in document.items():
            match name:
                case "incarnation":
                    good = type(value) is int and value >= 1
                case "time":
                    good = type(value) in (int, float)
                case "orphan_s":
                    good = value is None or (type(value) in (int, float) and value > 0)
                case "server_key" | "public_key" | "secret_key":
                    good = isinstance(value, str) and len(value) == 40
                case _:
                    good = isinstance(value, str) and bool(value)
            if not good:
                raise IdentityError(f"the identity's field {name} has a wrong value")
        return cls(**document)
