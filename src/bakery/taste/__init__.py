"""Talking to a bake: base, prompted and baked model side by side, in the terminal and on a page of this machine."""
