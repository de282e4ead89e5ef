"""Measures the rendered Store beside what people would use instead: `make bench`.

`__main__` renders the flavors, starts the servers and runs a process for each flavor; `flavor` is
that process; `report` writes what they found into `docs/`. The scripts that stand for themselves
(`sqlite_drivers`, `postgresql_json`, `mysql_drivers`) are the measurements behind decisions.
"""
