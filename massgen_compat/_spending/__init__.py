"""What a run spends: limits while it goes on (``meter``), the account of it (``ledger``)."""
