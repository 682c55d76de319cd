"""The parts of the conformance suite; ``channels.test.layers`` puts them together."""
