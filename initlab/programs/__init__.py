"""How instruments read a traced program: one walk, one liveness, one list of primitive names."""
