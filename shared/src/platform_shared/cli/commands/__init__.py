"""One module a subcommand: HELP (one line), `configure(parser)` and `run(arguments) -> exit code`.

Modules are all imported to print the help, so heavy imports belong inside `run`.
"""
