"""docflow, the service that is rolled out: one process runs one version of one colour."""
