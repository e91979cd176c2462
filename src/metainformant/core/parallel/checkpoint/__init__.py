"""Durable results: a run that was killed goes on where it was, from a file that holds its outcomes.

The process that runs the map writes the file, and nobody else; the engine knows nothing of it.
"""
