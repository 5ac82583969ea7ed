"""Each result in at most fifteen lines of the public API; docs/guide/published.md prints them."""
