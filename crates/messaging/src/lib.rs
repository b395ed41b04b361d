//! Everything said to the broker: connect, serve, request, queue work, keep values and objects.
