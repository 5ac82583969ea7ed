"""Which parametrizations keep every layer learning as a network gets wider, or deeper?"""
