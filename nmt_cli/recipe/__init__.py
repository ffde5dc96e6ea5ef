"""Recipes: finding, loading, overriding and documenting them."""
