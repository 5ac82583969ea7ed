"""Signals layer by layer, measured beside what theory predicts."""
