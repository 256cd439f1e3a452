"""The process of one run: fetches the code, checks it, executes it, reports what happens."""
