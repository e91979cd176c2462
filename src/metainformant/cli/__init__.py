"""The command line: `metainformant map FUNCTION [INPUT...]`."""
