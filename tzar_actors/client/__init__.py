"""The trainer's side: launches or finds a supervisor, hands it genomes, and gets each outcome back once."""
