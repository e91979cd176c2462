"""Workers of a cluster: chunks travel ahead, and permission to run their items follows.

See the README beside this. One adapter for each kind of cluster; everything else is the same.
"""
