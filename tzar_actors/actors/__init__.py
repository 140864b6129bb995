"""Thin shells around the core's machines: each takes a message, steps its machine, carries the commands out."""
