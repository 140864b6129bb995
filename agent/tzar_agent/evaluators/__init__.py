"""How games are played: each evaluator takes a genome and a seed, and gives back a verdict."""
