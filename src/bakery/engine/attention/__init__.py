"""Attention over packed rows behind a shared prefix."""
