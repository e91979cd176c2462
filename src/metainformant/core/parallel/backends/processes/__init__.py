"""Workers that are processes: how they are started, signalled, killed, and end with their parent.

What they have in common with interpreters is in `isolated`.
"""
