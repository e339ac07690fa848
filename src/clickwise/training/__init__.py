"""clickwise.training"""
