"""Tags made one, and who a charge belongs to by tag, rule or map: writes the table `shares`."""
