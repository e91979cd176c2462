"""Watching a run: observers that get the events of the engine, and show or log them.

`registry.py` chooses them by the options of a call; usually there are none.
"""
