"""What each endpoint answers: one function a row, named as the row. Knows no HTTP."""
