"""What all lines share: whole files, receipts, identity, records, tables, ledgers, and commands."""
