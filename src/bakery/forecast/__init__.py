"""What a bake will take: tokens, seconds and memory, told before anything long begins and corrected as it runs."""
