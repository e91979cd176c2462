"""Tests in a real browser: Chromium without a window, where it and its driver are installed."""
