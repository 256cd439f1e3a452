"""Plain records: the only thing that crosses a process or a language. Floor 0; imports nothing of ours."""
