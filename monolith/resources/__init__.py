"""Resources with their tags and the files they refer to."""
