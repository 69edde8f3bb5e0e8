"""What is known of each stream's records; discovery adds what an account has besides."""
