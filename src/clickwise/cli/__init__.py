"""clickwise.cli"""
