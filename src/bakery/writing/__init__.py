"""What the model writes for its own bake: prompts to learn from, held-out questions and anchors."""
