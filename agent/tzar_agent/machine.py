"""Which virtual machine this is, as its host names it."""

import importlib

__all__ = ["virtual_machine_id"]

_KEY = r"SOFTWARE\Microsoft\Virtual Machine\Guest\Parameters"  # Hyper-V's data exchange service writes it at each boot


def virtual_machine_id() -> str | None:
    """Hyper-V's id of the VM that this is; None where it is no such VM, or has not been told yet."""
    try:
        registry = importlib.import_module("winreg")  # by name: elsewhere than on Windows it has no types
    except ImportError:
        return None
    try:
        with registry.OpenKey(registry.HKEY_LOCAL_MACHINE, _KEY) as key:
            value, _ = registry.QueryValueEx(key, "VirtualMachineId")
    except OSError:
        return None
    return str(value) or None
