"""The machine and the interpreter: processors, memory, cgroups, the GIL, how threads start.

It knows nothing of maps.
"""
