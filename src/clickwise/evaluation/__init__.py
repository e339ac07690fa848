"""clickwise.evaluation"""
