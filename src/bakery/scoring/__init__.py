"""Whether an answer is right, and whether it keeps to a rule: pure functions, torch-free."""
