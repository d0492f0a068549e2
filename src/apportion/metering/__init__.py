"""Samples become usage per workload and hour; usage becomes shares of the resources in the bill."""
