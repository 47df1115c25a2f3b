"""Adapters and exports behind the servers of other projects: started, asked the same questions, measured."""
