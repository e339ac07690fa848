"""clickwise.metrics"""
