"""What tests of every location use: the daemon tick by tick, and a platform home with a database of its own."""
