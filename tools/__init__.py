"""What the Makefile runs: scripts, and a few modules that tests import."""
