"""One module a revision; the newest one's number is also in canary.journal.revision."""
