"""The complete FOCUS dataset of a run: every charge that was split is replaced by its pieces, to the last digit.

What is written stays verbatim, also where a text begins with `=` or `+`: the files are for machines that read FOCUS,
and for Apportion itself, not for spreadsheets, and a changed byte would no longer be the bill.
"""

from apportion.reports.focus_dataset.export import FocusExport, FocusFile, export_focus
from apportion.reports.focus_dataset.split_check import check_split

__all__ = ["FocusExport", "FocusFile", "check_split", "export_focus"]
