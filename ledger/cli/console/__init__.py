"""What commands draw on the terminal, and how they write files."""
