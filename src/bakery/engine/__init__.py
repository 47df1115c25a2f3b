"""The model, and what makes asking it cheap: shared prefixes, packed rows, batched sampling, the fused loss."""
