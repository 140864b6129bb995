"""What a person does to a fleet's VMs and hosts by its drivers: beside a supervisor, or while none runs."""
