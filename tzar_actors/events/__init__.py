"""The log of events, which is what every monitor reads. `docs/events.md` lists them all."""
