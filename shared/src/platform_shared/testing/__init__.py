"""What tests of every location use: the daemon tick by tick or as a process, and a home with a database of its own."""
