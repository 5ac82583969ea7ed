"""Does the lab reproduce the course's published numbers?"""
