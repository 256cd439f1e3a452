"""One agent: claims runs, gives each to a keeper, and hands back what it cannot finish."""
