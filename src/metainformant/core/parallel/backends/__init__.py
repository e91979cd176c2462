"""The kinds of workers. These modules never import one another."""
