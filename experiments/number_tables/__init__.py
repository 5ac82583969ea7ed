"""What tables of published numbers share: rows, the comparison, the table, the figure."""
