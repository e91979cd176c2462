"""Kinds of workers: each folder implements the port `engine/backend.py`, `registry.py` chooses.

Threads need nothing else; processes and interpreters share `isolated`, and `ipc` moves the bytes.
"""
