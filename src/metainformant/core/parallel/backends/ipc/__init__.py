"""Bytes between interpreters: pipes, payloads, shared memory, pickled items and exceptions.

It knows nothing of maps, chunks or the engine.
"""
