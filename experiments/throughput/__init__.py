"""How fast is the lab beside plain JAX, a Python loop, NumPy and PyTorch?"""
