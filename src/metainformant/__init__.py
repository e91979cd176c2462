"""Tools for people who process sequences, files and requests by the thousand."""
