"""clickwise.data"""
