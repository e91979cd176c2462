"""What the maps cost, beside other libraries and beside what is physically possible."""
