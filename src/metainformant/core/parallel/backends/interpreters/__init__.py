"""Workers that are subinterpreters of this process, on Python 3.14 and later.

What they have in common with processes is in `isolated`; `exit.py` is about the end of the process.
"""
