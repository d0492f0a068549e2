"""Meters: raw answers of an API, or files, become samples; the machinery all meter sources share."""
