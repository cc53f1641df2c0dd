"""Measures Tocsin beside its floors and its peers; run ``python -m bench``."""
