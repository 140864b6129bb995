"""The supervisor of a fleet of game VMs, and the client that trainers use."""
