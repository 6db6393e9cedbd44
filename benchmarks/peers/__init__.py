"""Programs that do what mlrun does, each in a process of its own."""
