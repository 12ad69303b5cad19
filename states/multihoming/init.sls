# Everything that a host needs to answer through the interface that was asked, from the pillar
# `multihoming`. On a fresh minion the modules are synced and netaddr is installed first; where
# both are there, that part is not even rendered.
{%- set ready = 'multihoming.apply' in salt %}

{%- if not ready and opts['test'] %}

multihoming-modules:
  test.configurable_test_state:
    - name: multihoming
    - changes: true
    - result: true
    - comment: >-
        This minion does not have the multihoming modules or netaddr yet, and test mode installs
        nothing, so what they would do can't be predicted. Run `saltutil.sync_all` and
        `pip.install netaddr` on it first for a full prediction.

{%- else %}
{%- if not ready %}

multihoming-modules:
  saltutil.sync_all:
    - refresh: true
    - reload_modules: true

multihoming-netaddr:
  pip.installed:
    - name: netaddr
    - reload_modules: true
    - require:
        - saltutil: multihoming-modules
    - require_in:
        - multihoming: multihoming
{%- endif %}

multihoming:
  multihoming.managed: []
{%- endif %}
