"""A page where anybody watches a start train: one HTML file, for a browser, with the network off.

    python -m experiments.page --out page.html

The same as `initlab page`. It answers no question by itself: a reader asks.
"""

import sys

from initlab.command import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main([sys.argv[0], "page", *sys.argv[1:]]))
