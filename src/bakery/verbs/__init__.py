"""What every verb of the command line does; each imports what it needs itself, so that mistakes are told at once."""
