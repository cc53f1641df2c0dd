"""What the benches measure is measured rightly."""
