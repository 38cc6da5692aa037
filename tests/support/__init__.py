"""What the Python test programs share: starting a broker, and environments to run in."""
