"""clickwise.bundle"""
