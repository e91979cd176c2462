"""The decisions of the engine: time goes in, a decision comes out.

Nothing here waits or reads a clock, so all of it is tested with a simulated clock.
"""
