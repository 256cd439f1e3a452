"""Tasks that come with the library, by Prefect 1's import paths."""
