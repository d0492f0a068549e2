"""Ready-made projects to learn and test with: the invented company acme, and the FOCUS Foundation's sample bill."""
