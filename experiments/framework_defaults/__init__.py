"""What do other libraries start a layer from, and how deep does that carry?"""
