"""Which virtual machine this is, as its host names it."""

import importlib
import os

__all__ = ["MACHINE_ID", "virtual_machine_id"]

MACHINE_ID = "TZAR_MACHINE_ID"
"""The environment variable by which a guest that is a process of a larger machine is told which VM it stands for."""

_KEY = r"SOFTWARE\Microsoft\Virtual Machine\Guest\Parameters"  # Hyper-V's data exchange service writes it at each boot


def virtual_machine_id() -> str | None:
    """Hyper-V's id of the VM that this is; None where it is no such VM, or has not been told yet."""
    if told := os.environ.get(MACHINE_ID):
        return told
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
