"""The supervisor's end of all connections: who may come in, what they say, and whom it concerns."""
