"""Runs the test suites of other projects' AMQP client libraries against a broker."""
