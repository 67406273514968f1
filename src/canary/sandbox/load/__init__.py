"""The users: an open-loop load generator in its own process, through the router."""
