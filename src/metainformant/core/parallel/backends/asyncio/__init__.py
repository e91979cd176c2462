"""Workers that are tasks of an event loop of asyncio, for coroutine functions.

The loop has a thread of its own, or is that of the caller. See `backend.py`.
"""
