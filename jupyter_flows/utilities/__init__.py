"""Helpers by Prefect 1's import paths."""
