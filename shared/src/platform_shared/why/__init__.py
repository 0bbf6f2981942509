"""Why an asset did, or did not, run: what its condition said, what it waits for, and whose that is.

`questions` asks Dagster's GraphQL, `facts` reads the answers, `reasons` finds what holds the asset up, `words` says it.
"""
