"""clickwise.models"""
