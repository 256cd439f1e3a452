"""Processes that call functions for this one, and what travels between them. Know nothing of flows."""
