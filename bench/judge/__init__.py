"""How often each judge rolls back a healthy canary, and how soon a bad one; described in README.md beside this."""
