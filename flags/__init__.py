"""Percentages: Unleash's rollout rule, the embedded flag store, and the two sides a flag chooses between."""
