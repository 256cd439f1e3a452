"""One engine for functions and cells: a pure plan, a loop that obeys it, and ports."""
