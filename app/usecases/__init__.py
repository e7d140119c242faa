"""What the queue can do, one verb each, over the ports of the domain."""
