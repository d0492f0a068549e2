"""The words of the house: money, period, FOCUS columns, tables, targets, configuration, plug-ins. No I/O."""
