{% include "choices/database/server/faults.py" %}
