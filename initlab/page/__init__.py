"""The page: one HTML file in which anybody watches a start train, with the network off."""

from initlab.page.assemble import assemble
from initlab.page.write import write_page

__all__ = ["assemble", "write_page"]
