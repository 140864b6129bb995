"""What of this process's environment its children get: agents run other people's games."""

from collections.abc import Mapping

__all__ = ["CREDENTIALS_PREFIX", "without_credentials"]

CREDENTIALS_PREFIX = "TZAR_HYPERV_"  # of the variables with accounts of hosts and of guests


def without_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that needs none of them."""
    return {
        key: value
        for key, value in environment.items()
        if not (key.startswith(CREDENTIALS_PREFIX) and key.endswith(("_USER", "_PASSWORD")))
    }
