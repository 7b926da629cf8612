"""Background jobs: enqueue, claim, finish."""
