"""Files, folders, hub ids and inline prompts, read as conversations. Torch-free."""
