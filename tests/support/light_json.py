"""JSON for scripts that tests start a thousand times: half of such a start was loading `json`."""

from __future__ import annotations

SOURCE = """\
try:
    from _json import encode_basestring_ascii, make_encoder, make_scanner
except ImportError:
    import json
else:
    class json:
        strict, object_hook, object_pairs_hook, parse_constant = True, None, None, None
        parse_float, parse_int, memo = float, int, {}
        def load(file):
            return make_scanner(json)(file.read().strip(), 0)[0]
        def dumps(value):
            words = None, None, encode_basestring_ascii, None, ": ", ", ", False, False, True
            return "".join(make_encoder(*words)(value, 0))
        def dump(value, file):
            file.write(json.dumps(value))
"""
"""To stand before such a script: what `json` is made of, without what only its options need."""
