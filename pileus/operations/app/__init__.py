"""What operators can ask and do."""
