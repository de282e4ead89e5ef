"""What the tests of the template, its scripts and its benchmarks share."""
