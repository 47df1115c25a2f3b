"""The base model and its adapter: loading, the LM head, LoRA layers, the processes of a run."""
