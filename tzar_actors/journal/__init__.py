"""The journal: what must survive the death of the supervisor."""
