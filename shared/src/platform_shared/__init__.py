"""The library that all code locations share: it imports no location and no demo."""
