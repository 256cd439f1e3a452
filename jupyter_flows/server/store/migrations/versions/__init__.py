"""One file a step, forward only, from every released version."""
