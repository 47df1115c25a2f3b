"""An adapter in the forms in which servers and other tools take it; each form says how it is proved."""
