"""The configuration: from `config.yml` to plain settings, with every mistake named by file, line and key.

`document` (YAML with lines) → `reader` (checked by `schema`) → `resolve` (defaults, inheritance, secrets) →
`settings.Config`. The way in is `load.load_config`.
"""
