"""How a model uses each of its parameters, read off its traced program."""
