"""The law: values, messages, codec and state machines, without clock, randomness or input and output."""
