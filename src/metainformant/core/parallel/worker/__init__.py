"""What runs in every worker, of whatever kind: preparation, the current task, ending a call.

`frames.py` knows which code is this package's own, so that tracebacks and stacks begin in the task.
"""
