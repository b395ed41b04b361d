//! A real broker on a free port, and a real cluster of leat processes, for tests.
