"""What our own people and machines hand in: whose addresses they may write as, and what their mail program forgot. Pure."""
