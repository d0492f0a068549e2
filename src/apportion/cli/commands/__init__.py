"""One command per file: each module holds its click command under `command`."""
