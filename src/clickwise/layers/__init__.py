"""clickwise.layers"""
