"""The agents' wire protocol, version 1. `docs/protocol.md` describes it for agents in other languages."""
