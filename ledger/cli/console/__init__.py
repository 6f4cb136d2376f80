"""Terminal output and file writing of the commands."""
