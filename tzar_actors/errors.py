"""The errors of tzar-actors. Each kind is one that a caller would catch for a reason of its own."""

__all__ = ["ConfigError", "DriverError", "LockedError", "RejectedError", "SupervisorError", "TzarError"]


class TzarError(Exception):
    """The base of all errors of this package."""


class ConfigError(TzarError):
    """A configuration that cannot be used. The text names the file, the key, what is allowed and the nearest name."""


class DriverError(TzarError):
    """A verb of a driver failed.

    Args:
        what: what happened.
        vm: the VM it happened to, or None when it concerns the whole host.
        host: the host's name.
        cure: what a person can do about it.
        busy: the host refused for load (quota, memory): wait and ask again; nothing is broken.
        unreachable: the host could not be asked at all: nothing is known of its VMs.
        lacking: the host has not what all its VMs are made of (template, switch): it is not this VM that is broken.
    """

    def __init__(
        self,
        what: str,
        *,
        host: str,
        vm: str | None = None,
        cure: str = "",
        busy: bool = False,
        unreachable: bool = False,
        lacking: bool = False,
    ) -> None:
        place = f"VM {vm} on {host}" if vm else f"host {host}"
        super().__init__(f"{place}: {what}" + (f". {cure}" if cure else ""))
        self.what = what
        self.vm = vm
        self.host = host
        self.cure = cure
        self.busy = busy
        self.unreachable = unreachable
        self.lacking = lacking

    @property
    def is_refusal(self) -> bool:
        """Whether it is the host's doing alone: the VM is as it was, and the same may be asked again later."""
        return self.busy or self.unreachable or self.lacking


class SupervisorError(TzarError):
    """The supervisor did not come up, is gone for good, or is another than the one that was asked for."""


class LockedError(SupervisorError):
    """Another supervisor holds the state folder."""


class RejectedError(TzarError):
    """The supervisor refused an evaluation. Nothing of it was accepted; the others are not concerned.

    Args:
        key: the evaluation's key.
        code: `genome_too_big`, `genome_missing`, `params`, `games`, `key_reused`, `queue_full`, `disk_full`,
            `spool_full`, `blob` or `draining`.
        reason: what is wrong and what to do.
    """

    def __init__(self, key: str, code: str, reason: str) -> None:
        super().__init__(f"evaluation {key}: {reason}")
        self.key = key
        self.code = code
        self.reason = reason
