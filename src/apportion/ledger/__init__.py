"""The ledger: posts a run, explains its amounts, and proves that money in is money out."""
