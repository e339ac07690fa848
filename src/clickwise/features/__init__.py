"""clickwise.features"""
