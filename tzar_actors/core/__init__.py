"""The part that decides: events in, commands out.

Two rules. Everything that affects a machine's state is in the event: the time and any random draw as well. A machine
does not know who runs it: no threads, sockets, files, clocks, randomness, logs or global settings in here.
"""
