"""Full-text search over live resources, and the searches that users keep."""
