"""Distillation: the teacher asked once, the objective, the samplers, the session that holds them together."""
