"""Whether an agent that says hello belongs here."""

from tzar_agent.protocol.messages import PROTOCOL_VERSION, Hello, Unwelcome

__all__ = ["refusal_of"]


def refusal_of(hello: Hello, owner: tuple[str, int] | None, is_known: bool) -> Unwelcome | None:
    """Why the agent does not belong here, or None when it does.

    Args:
        hello: what it said.
        owner: the VM and the incarnation that its key was made for; None: another key has taken its place.
        is_known: whether there is such a VM.
    """
    if hello.version != PROTOCOL_VERSION:
        return Unwelcome(
            "version",
            f"the agent of {hello.vm} speaks version {hello.version} of the protocol, the supervisor version"
            f" {PROTOCOL_VERSION}: install the tzar-agent that belongs to this supervisor in the template",
        )
    if owner is None:
        return Unwelcome("incarnation", f"{hello.vm} has a newer incarnation than {hello.incarnation}")
    if owner[0] != hello.vm or not is_known:
        return Unwelcome("vm", f"this key does not open the name {hello.vm}")
    if owner[1] != hello.incarnation:
        return Unwelcome("incarnation", f"{hello.vm} is at incarnation {owner[1]}, not {hello.incarnation}")
    return None
