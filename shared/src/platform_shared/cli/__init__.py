"""The `platform` command. Each module of `commands` is a subcommand and is found by itself."""
