"""What processes and interpreters share: workers that have no objects in common with the caller.

They get messages through a pipe and record each outcome in shared memory. See README.md here.
"""
