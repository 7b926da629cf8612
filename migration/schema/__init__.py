"""The control database's tables and their versions."""
