"""clickwise.optim"""
