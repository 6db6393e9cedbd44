"""Calls visualisers, and renders their pictures as image files."""
