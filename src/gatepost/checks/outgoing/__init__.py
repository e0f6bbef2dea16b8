"""What do we see in mail that our own people and machines hand in?"""
