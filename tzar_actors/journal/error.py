"""What the journal raises."""

from tzar_actors.errors import TzarError

__all__ = ["JournalError"]


class JournalError(TzarError):
    """The journal cannot be used. The text names its file and what to do."""
