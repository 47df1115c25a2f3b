"""The trainer: what happens once before the first step, and what happens at every step."""
