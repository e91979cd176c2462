"""The functions and classes that users call: signatures, docstrings, and one call of the runner.

Nothing is decided here. What every map shares is in `options.py`, what runs it in `runner`.
"""
