"""Documents as people write them: any JSON, with comments, commas, line ends and white space of all sorts."""

import json

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "hooks", "SessionStart", "x y", "ключ", "$v", "n1"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["// no comment", "/* nor this */", "}", ",", "'", '"', "\\"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)
# N stands for the end of a line.
GAPS = st.sampled_from(["", "", " ", "\t", "N", "N  ", " /* }, */ ", " // ], { it'sN", "N    // noteN"])


@st.composite
def texts(draw: st.DrawFn, value: object = None) -> str:
    """Return an object as text, in some style."""
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    strict = draw(st.booleans())

    def gap() -> str:
        if strict:
            return draw(st.sampled_from(["", " ", newline, newline + "  "]))
        return draw(GAPS).replace("N", newline)

    def name(key: str) -> str:
        if not strict and key.isidentifier() and draw(st.booleans()):
            return key
        return text(key)

    def text(one: str) -> str:
        if not strict and draw(st.booleans()):
            body = json.dumps(one, ensure_ascii=draw(st.booleans()))[1:-1].replace('\\"', '"')
            return "'" + body.replace("'", "\\'") + "'"
        return json.dumps(one, ensure_ascii=draw(st.booleans()))

    def write(one: object) -> str:
        if isinstance(one, str):
            return text(one)
        if not isinstance(one, dict | list):
            return json.dumps(one)
        opener, closer = "{}" if isinstance(one, dict) else "[]"
        parts = (
            [f"{name(key)}{gap()}:{gap()}{write(each)}" for key, each in one.items()]
            if isinstance(one, dict)
            else [write(each) for each in one]
        )
        inside = ",".join(f"{gap()}{part}{gap()}" for part in parts) or gap()
        last = f",{gap()}" if parts and not strict and draw(st.booleans()) else ""
        return f"{opener}{inside}{last}{closer}"

    bom = draw(st.sampled_from(["", "\ufeff"]))
    return f"{bom}{gap()}{write(draw(OBJECTS) if value is None else value)}{gap()}"
