"""Runs workloads, keeps their results, and shows and judges them."""
