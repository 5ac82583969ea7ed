"""Which refiners make deep networks train that fail from where they start?"""
