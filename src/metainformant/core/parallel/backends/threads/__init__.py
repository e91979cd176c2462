"""Workers that are threads of this process.

They take jobs from one queue. Each belongs to one map, and none is kept after it.
"""
