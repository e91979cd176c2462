"""The loop of a map: it hands out chunks, watches the workers and delivers what they finish.

It knows no kind of worker and no observer, only ports: `backend.py`, `source.py`, `events.py`.
See README.md here.
"""
