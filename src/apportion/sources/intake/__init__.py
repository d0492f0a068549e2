"""From delivered files to immutable snapshots: what all sources share."""
