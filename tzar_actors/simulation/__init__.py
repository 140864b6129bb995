"""A seeded world around the real core and the real actors, on a virtual clock: crashes, lies and kills, and the laws."""
