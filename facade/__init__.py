"""The data plane: route, decide, hold, forward and shadow every request of a client."""
