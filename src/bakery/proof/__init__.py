"""What a bake did: measured, put into words, and written where people look."""
