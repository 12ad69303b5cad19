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

# Without it the state `multihoming` fails, and says which other ways there are to have it.
multihoming-netaddr:
{%- set netaddr = pillar.get('multihoming_netaddr') or {} %}
{%- if 'package' in netaddr %}
  pkg.installed:
    - name: {{ netaddr.package | json }}
{%- else %}
  pip.installed:
{%- set options = dict({'name': 'netaddr'}, **netaddr.get('pip', {})) %}
{%- if options.name.startswith('salt://') %}
{%- do options.update(name=salt['cp.cache_file'](options.name) or options.name) %}
{%- endif %}
{%- for key, value in options.items() %}
    - {{ key }}: {{ value | json }}
{%- endfor %}
{%- endif %}
    - reload_modules: true
    - require:
        - saltutil: multihoming-modules
{%- endif %}

multihoming:
  multihoming.managed: []
{%- endif %}
