"""Commands for those who work on the template: `python -m scripts.NAME`."""
