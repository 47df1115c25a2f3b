"""What a bake did: measured before and after, each figure with its error."""
