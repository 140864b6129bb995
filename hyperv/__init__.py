"""The Hyper-V driver: clones, powers and reaches into worker VMs by PowerShell. Its verbs follow."""
