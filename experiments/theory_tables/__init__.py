"""Does the lab's theory give the numbers that are published of it?"""
