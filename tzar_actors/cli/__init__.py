"""The command `tzar`, one module a command."""
