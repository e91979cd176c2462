"""Workers of somebody else's scheduler: chunks become futures of a `concurrent.futures.Executor`.

A future reports nothing before it ends, so `worker.py` goes with the chunk and watches it there.
"""
