"""Several adapters side by side, for people: the result, its words, its page, and what is written of it."""
