"""Measures the rendered Store beside what people would use instead: `make bench`.

`__main__` renders the flavors, starts the servers and runs a process for each flavor (`flavor`) and
for its import (`startup`). `table` says what the figures must reach, `report` writes docs/performance.md.
"""
