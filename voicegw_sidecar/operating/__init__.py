"""What operators change while the sidecar runs, by the API and by pages: projects, brands and share links.

Each change is checked, committed together with its line in the log of changes, and then put in force.
"""
