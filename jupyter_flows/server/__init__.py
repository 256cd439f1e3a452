"""The metadata service: flows, schedules, runs, states, logs, agents. It never gets code."""
