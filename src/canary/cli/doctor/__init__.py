"""`canary doctor`: one look at everything that a rollout needs."""
