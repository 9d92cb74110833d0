"""Runs fleet scenarios, written for the NixOS test driver, on network namespaces."""
