"""Conversations as the model sees them: rendered, tokenised, and cut into the views of teacher and student."""
