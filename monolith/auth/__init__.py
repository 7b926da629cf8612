"""Users, their sessions, and the tokens that name them."""
