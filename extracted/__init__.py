"""The services that the reference migration moves the monolith's capabilities to, one package each."""
