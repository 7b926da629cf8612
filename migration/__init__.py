"""The control plane: plan, stages, gates, the fenced switch, runbooks and the command line."""
