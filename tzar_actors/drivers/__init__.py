"""What reaches the VMs of a host: the verbs, and a driver for each platform with its fake beside it."""
