"""What a run was like: pure aggregates of bounded size, the limit, and the page that shows them.

Nothing here watches anything: `observe/recorder.py` feeds it with the events of the engine.
"""
