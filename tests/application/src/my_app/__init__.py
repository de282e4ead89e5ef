"""An application that people sign in to."""
