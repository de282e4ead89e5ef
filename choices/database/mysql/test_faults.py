{% include "choices/database/server_faults.py" %}
