"""The demo: a small network learns to survive in ViZDoom on a fleet of local VMs, while one of them is killed."""
