"""What of a run folder may leave the machine, without the words of the prompt, and its way to the hub."""
