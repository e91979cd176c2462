"""The other libraries, behind functions of one shape, or the reason why they can't."""
