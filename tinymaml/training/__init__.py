"""The outer loop, its optimisers, and evaluation after adaptation."""
