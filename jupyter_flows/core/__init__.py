"""The model: tasks, graphs, states, what may follow what. Pure: no clock, no thread, no file."""
