"""The machine: sensors of power, presence and network, and the policy of its administrator."""
