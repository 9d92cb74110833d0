"""Tests of the scenario runner itself: `python3 -m unittest discover -s vm-tests -t vm-tests`."""
