"""What all workers share that share no objects with us: see `backend.py`."""
