"""What tables of published numbers share: rows, verdicts, the table, the picture."""
