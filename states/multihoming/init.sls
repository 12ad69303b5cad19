# Everything that a host needs to answer through the interface that was asked, from the pillar
# `multihoming`. On a fresh minion the modules are synced and netaddr is installed first; where
# both are there, that part is not even rendered. With salt-ssh it never is: what is there can't be
# asked then, and the modules and netaddr come with salt-ssh.
{%- set ready = 'multihoming.apply' in salt %}
{%- set unknown = not ready and opts['test'] %}
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
{%- if unknown %}

# Test mode installs nothing, so that there is no state `multihoming` to call. Those that require it
# find it all the same, and that it changes nothing.
multihoming-prediction:
  test.show_notification:
    - text: >-
        This minion does not have the multihoming modules or netaddr yet, and test mode installs
        nothing, so what they would do can't be predicted. For a full prediction run `salt-call
        saltutil.sync_all` and `salt-call pip.install netaddr` on it first.
{%- endif %}
{%- endif %}

multihoming:
  multihoming.managed:
    - name: multihoming
{%- if unknown %}
    - onchanges:
        - test: multihoming-prediction
{%- endif %}
