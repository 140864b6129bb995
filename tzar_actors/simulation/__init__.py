"""A seeded world around the real core and the real actors, on a virtual clock, with its faults and its laws."""
