"""What taps and targets have in common: settings and their validation, the command, the account.

`settings` declares what several plugins share, with descriptions and defaults.
`command` turns every error into one line and an exit code.
"""
