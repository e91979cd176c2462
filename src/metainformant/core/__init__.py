"""Core utilities that the rest of metainformant builds on."""
